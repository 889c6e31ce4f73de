#!/usr/bin/env bash
# Compare Warren with other ways to run background jobs, and write docs/benchmarks.md.
set -Eeuo pipefail

WARREN_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"

usage() {
	cat <<-'HELP'
		Usage: bench/run.sh [--quick] [--rounds N] [--contestants NAME,...] [--measurements NAME,...] [--add]
		       bench/run.sh --page

		Brings up each contestant in containers, one at a time, measures it, removes it, and does so again in the
		next round. Then writes docs/benchmarks.md and its plots. All of it takes nearly an hour, with --quick about
		12 minutes. Nothing else should run on the machine meanwhile. Needs root.

		  --quick         one round, and shorter measurements
		  --rounds N      so many rounds (2)
		  --contestants   only these: warren, textbook, ceiling (Celery without results), rq, dramatiq, huey, taskiq
		  --measurements  only these:
		                    memory, idle, loaded, drain, noop, burst, sustained   in every round
		                    versions, images, loss                                in the first round
		                    lists, export, workers, budget, build                 in the first round, not with --quick
		  --add           keep what was measured before; without it, the measurement begins from nothing
		  --page          measure nothing: write the page again

		What was measured is in bench/results/rows.jsonl. PREFIX (bench) starts the names of all containers, and
		PORT (8001) is where the stack that is just measured can be reached.

		Examples:
		  bench/run.sh --quick
		  bench/run.sh --contestants warren,textbook --measurements drain,burst --rounds 5
	HELP
}

help_if_asked "$@"
require_docker
[[ $EUID -eq 0 ]] || die 'this needs root' 'It reads the databases of containers that run as root: sudo bench/run.sh'
export PORT=${PORT:-8001}
python=$("$WARREN_DIR/ops/python_env.sh" bench "$WARREN_DIR/bench/requirements.txt")
cd "$WARREN_DIR"
# -P keeps the folder of the program off the import path; the project is on it instead.
PYTHONPATH=$WARREN_DIR exec "$python" -P -m bench.compare.driver "$@"
