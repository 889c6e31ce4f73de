#!/usr/bin/env bash
# Flower, which shows the workers and the jobs that they run: start it behind Nginx, or stop it.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/tools.sh
source "$WARREN_DIR/ops/tools.sh"

usage() {
	cat <<-HELP
		Usage: ops/flower.sh start [--new-password] | stop

		Starts Flower for the running stack $PREFIX, at $(stack_url)/flower/, or stops it. It shows each worker and
		each job that begins after the start. Nothing can be changed there.

		The workers send events of their jobs only while it runs. Stop it while RabbitMQ is up, or they cannot be told:
		then start and stop it once more.

		  --new-password  make another password; the first start makes one anyway, and shows it once

		Examples:
		  ops/flower.sh start
		  ops/flower.sh stop
	HELP
}

run_tool flower "$@"
