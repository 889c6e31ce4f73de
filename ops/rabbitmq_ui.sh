#!/usr/bin/env bash
# RabbitMQ's own management page: open it behind Nginx, to look and not to change, or close it.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/tools.sh
source "$WARREN_DIR/ops/tools.sh"

usage() {
	cat <<-HELP
		Usage: ops/rabbitmq_ui.sh start [--new-password] | stop

		Shows RabbitMQ's own page for the running stack $PREFIX, at $(stack_url)/rabbitmq/, or stops showing it: the
		queues with their lengths, connections, exchanges, policies and the node. Nothing can be changed there. It has
		no rates, because RabbitMQ's statistics are off; ./monitor_queue.sh and ops/prometheus.sh have them.

		  --new-password  make another password; the first start makes one anyway, and shows it once

		Examples:
		  ops/rabbitmq_ui.sh start
		  ops/rabbitmq_ui.sh stop
	HELP
}

run_tool rabbitmq_ui "$@"
