#!/usr/bin/env bash
# What waits in RabbitMQ, refreshed about every 2 seconds, with rates and the time left.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"

usage() {
	cat <<-HELP
		Usage: ./monitor_queue.sh [--interval SECONDS] [--count N]

		Shows the queues of the running stack about every 2 seconds: their depth, how many jobs come in and go
		out per second, the workers, and the time until they are empty. Ctrl-C ends it. Where the output is not
		a terminal, each look is a plain line.

		  --interval SECONDS  the time between two looks (2)
		  --count N           end after so many looks
	HELP
}

help_if_asked "$@"

require_running "$FLASK_CONTAINER"
# The display in the container ends when its input ends, which is when this script does, however it is ended.
# Where there is no terminal, this script holds both ends of a pipe as the input, so that it does not end earlier.
if [[ -t 0 && -t 1 ]]; then
	exec docker exec --interactive --tty "$FLASK_CONTAINER" python -m jobs.commands.monitor_queue "$@"
fi
exec 0<> <(:)
exec docker exec --interactive "$FLASK_CONTAINER" python -m jobs.commands.monitor_queue "$@"
