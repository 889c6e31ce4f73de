#!/usr/bin/env bash
# Set up and run the tests.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=ops/lib.sh
source ops/lib.sh

usage() {
	cat <<-'HELP'
		Usage: ./test.sh [--install] [unit|stack|browser|chaos|cluster ...] [--jobs N] [-- pytest arguments]
		       ./test.sh fix

		Runs the tests of the named kinds, or all of them:
		  unit     linters and everything that needs no container; about a minute
		  stack    the real containers, as "warren_test" on a free port beside whatever runs
		  browser  the pages in a real browser
		  chaos    the stack under load while things break: a reduced set, or with --jobs all of it
		  cluster  two machines, each an engine of its own on this one, or with --jobs three as well; needs root

		Several kinds are run by two processes, each with stacks of its own.

		fix formats all Python and shell files, and mends what ruff can mend. It runs no tests.

		  --install  first install what is missing (Debian or Ubuntu, as root)
		  --jobs N   of chaos and cluster, every fault with N jobs each, and write docs/reliability.md, or the table in
		             docs/beyond_one_machine.md, from what happened

		The Python tools are installed into .venvs/, pinned by tests/requirements.txt.
		Without a Docker engine, or PostgreSQL's programs, the tests that need them are skipped; where CI=true they fail.
		WARREN_KEEP_STACK=1 leaves the containers running afterwards; WARREN_TEST_PREFIX gives them another
		name than "warren_test", for two runs at a time. WARREN_RESTART_ENGINE=1 lets --jobs restart the engine, too.

		Examples:
		  ./test.sh unit
		  ./test.sh stack -- -k worker --maxfail 1
		  ./test.sh chaos --jobs 10000
		  ./test.sh cluster --jobs 1000
	HELP
}

main() {
	help_if_asked "$@"
	local install=false kinds=() options=()
	while (($#)); do
		case $1 in
		--install) install=true ;;
		--jobs)
			[[ ${2-} =~ ^[1-9][0-9]*$ ]] || die "not a number of jobs: ${2-}" 'See: ./test.sh --help'
			options+=(--jobs "$2")
			shift
			;;
		unit | stack | browser | chaos | cluster) kinds+=("$1") ;;
		fix)
			fix
			return
			;;
		--)
			shift
			break
			;;
		*) die "unknown argument: $1" 'See: ./test.sh --help' ;;
		esac
		shift
	done

	if ((${#kinds[@]} == 0)); then kinds=(unit stack browser chaos cluster); fi
	if [[ $install == true ]]; then install_for "${kinds[@]}"; fi
	# Tests mostly wait for containers. So two processes run them, each with other stacks (see tests/conftest.py).
	if ((${#kinds[@]} > 1)); then options+=(--numprocesses 2 --no-loadscope-reorder); fi
	local python
	python=$(ops/python_env.sh tests tests/requirements.txt)
	exec "$python" -m pytest "${kinds[@]/#/tests/}" "${options[@]}" "$@"
}

# Format everything. What is a shell script the tests know, for some have no extension.
fix() {
	local python tools scripts
	python=$(ops/python_env.sh tests tests/requirements.txt)
	tools=$(dirname "$python")
	mapfile -t scripts < <("$python" -c 'from tests.support.project import shell_scripts; print(*shell_scripts(), sep="\n")')
	"$tools/ruff" check --fix-only --quiet
	"$tools/ruff" format
	"$tools/shfmt" --write "${scripts[@]}"
}

# Bring what these kinds of tests need from Debian's packages, and start a Docker engine where none answers.
install_for() {
	# shellcheck source=settings.sh
	source settings.sh
	# shellcheck source=ops/install.sh
	source ops/install.sh
	if [[ $* != unit ]]; then install_and_start_docker; fi
	local missing=()
	if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi
	if [[ " $* " == *' unit '* ]] && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
		# Only its programs: by itself the package would also make a server, and start it.
		mkdir --parents /etc/postgresql-common/createcluster.d
		echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/warren.conf
		missing+=(postgresql)
	fi
	if [[ " $* " == *' browser '* ]]; then
		if ! command -v chromium >/dev/null; then missing+=(chromium); fi
		if ! command -v firefox-esr >/dev/null; then missing+=(firefox-esr); fi
	fi
	if [[ " $* " == *' cluster '* ]] && ! command -v ip >/dev/null; then missing+=(iproute2); fi
	if ((${#missing[@]} > 0)); then
		step 'package lists' apt-get update
		step "packages: ${missing[*]}" apt-get install --yes --no-install-recommends "${missing[@]}"
	fi
}

main "$@"
