#!/usr/bin/env bash
# The story of one job, from the ledger and the logs of all containers.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"

usage() {
	cat <<-HELP
		Usage: ops/trace.sh ID [--all] [--json]

		Prints what happened to a job, in order of time: its request, its way through web, broker and workers,
		and what the ledger knows. ID is the job's id, or the first 8 or more characters of it.

		  --all   show the requests that only looked at the job, too
		  --json  the same as JSON, for other programs

		  ops/trace.sh 7ddf6c1a
		  ops/trace.sh 7ddf6c1a-5b7e-4f83-a3ed-8a5b3c9f62b6 --json
	HELP
}

# The logs of all containers of the stack: each line after its container's name.
logs() {
	local name names
	mapfile -t names < <(containers_of '')
	for name in "${names[@]}"; do
		# A container that is just being removed has no log any more.
		docker logs "$name" 2>&1 | sed "s/^/$name /" || true
	done
}

help_if_asked "$@"
if [[ $# -eq 0 ]]; then die 'which job?' "Give its id: ops/trace.sh ID. For all options: ops/trace.sh --help"; fi

require_running "$FLASK_CONTAINER"
logs | docker exec --interactive "$FLASK_CONTAINER" python -m jobs.commands.trace "$@"
