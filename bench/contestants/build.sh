#!/usr/bin/env bash
# Build and start one of the stacks that Warren is compared with.
set -Eeuo pipefail
NAME=${1:-}
PREFIX=${PREFIX:-bench_$NAME}
# shellcheck source=bench/contestants/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
	cat <<-HELP
		Usage: bench/contestants/build.sh NAME

		Builds and starts a contestant: Nginx, a web server and one worker container, and its brokers, as its own
		documentation puts them together. NAME is a folder beside this script that has a stack.sh: $(names).
		Same base image, same number of processes, same settings as Warren: PORT=8001 and so on.
		To remove it: PREFIX=bench_NAME DB_DIR=bench_NAME_db bench/contestants/remove.sh
	HELP
}

names() { cd "$WARREN_DIR/bench/contestants" && echo */stack.sh | sed 's,/stack.sh,,g'; }

build_app() { build_image flask bench/contestants/Dockerfile "BASE=$BASE" "NAME=$NAME"; }

help_if_asked "$@"
[[ $# -eq 1 && -e $WARREN_DIR/bench/contestants/$NAME/stack.sh ]] ||
	die "not one contestant: $*" "The contestants are: $(names)"
# shellcheck source=/dev/null
source "$WARREN_DIR/bench/contestants/$NAME/stack.sh"
bring_up
