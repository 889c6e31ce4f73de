#!/usr/bin/env bash
# What waits in RabbitMQ, now.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"

usage() {
	cat <<-HELP
		Usage: ./list_queues.sh [--json]

		Shows each queue of the running stack: messages ready for a worker, messages that workers hold
		(unacknowledged), and the workers that take from it (consumers).

		  --json  the same as JSON, for other programs
	HELP
}

help_if_asked "$@"

require_running "$FLASK_CONTAINER"
exec docker exec "$FLASK_CONTAINER" python -m jobs.commands.list_queues "$@"
