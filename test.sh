#!/usr/bin/env bash
# Set up and run the tests.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
	cat <<-'HELP'
		Usage: ./test.sh [--install] [unit|stack|browser|chaos ...] [-- pytest arguments]

		Runs the tests of the named kinds, or all of them:
		  unit     linters and everything that needs only Python; under 30 s
		  stack    the real containers, as "warren_test" on a free port beside whatever runs
		  browser  the pages in a real browser
		  chaos    the stack while things break

		  --install  first install what is missing (Debian or Ubuntu, as root)

		The Python tools are installed into .venvs/, pinned by tests/requirements.txt.
		Without a Docker engine the tests that need one are skipped; where CI=true they fail.
		WARREN_KEEP_STACK=1 leaves the containers running afterwards.

		Examples:
		  ./test.sh unit
		  ./test.sh stack -- -k worker --maxfail 1
	HELP
}

main() {
	local install=false kinds=()
	while (($#)); do
		case $1 in
		--help) usage && return ;;
		--install) install=true ;;
		unit | stack | browser | chaos) kinds+=("$1") ;;
		--) shift && break ;;
		*)
			printf 'error: unknown argument: %s\n\n' "$1" >&2
			usage >&2
			return 2
			;;
		esac
		shift
	done

	local kind folders=() python
	if ((${#kinds[@]} == 0)); then
		for kind in unit stack browser chaos; do
			if [[ -d tests/$kind ]]; then kinds+=("$kind"); fi
		done
	fi
	for kind in "${kinds[@]}"; do folders+=("tests/$kind"); done

	if [[ $install == true ]]; then install_for "${kinds[@]}"; fi
	python=$(ops/python_env.sh tests tests/requirements.txt)
	exec "$python" -m pytest "${folders[@]}" "$@"
}

# Bring the packages that the given kinds of tests need, and an engine unless all of them do without.
install_for() {
	:
}

main "$@"
