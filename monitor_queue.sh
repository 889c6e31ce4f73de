#!/usr/bin/env bash
# What waits in RabbitMQ, refreshed about every 2 seconds, with rates and the time left.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"

if help_wanted "$@"; then
	cat <<-HELP
		Usage: ./monitor_queue.sh

		Shows the queues of the running stack about every 2 seconds: their depth, how many jobs come in and go
		out per second, the workers, and the time until they are empty. Ctrl-C ends it. Where the output is not
		a terminal, each look is a plain line.
	HELP
	exit
fi

require_running "$FLASK_CONTAINER"
terminal=()
[[ ! -t 0 || ! -t 1 ]] || terminal=(--tty)
exec docker exec --interactive "${terminal[@]}" "$FLASK_CONTAINER" python -m jobs.monitor "$@"
