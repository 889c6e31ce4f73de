#!/usr/bin/env bash
# Make a virtual environment of pinned packages, or reuse it, and print the path of its python.
set -Eeuo pipefail

WARREN_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"

usage() {
	cat <<-'HELP'
		Usage: ops/python_env.sh NAME REQUIREMENTS

		Makes .venvs/NAME with exactly the packages that the file REQUIREMENTS pins with hashes, and prints
		the path of its python. When that is there already and neither the file nor Python has changed, it
		only prints the path. Everything else it has to say goes to stderr. For example:
		  python=$(ops/python_env.sh locust locust/requirements.txt)

		PYTHON=/path/to/python3 says which Python to use; it has to be 3.11 or newer.
	HELP
}

# find_python: print the first Python here that is new enough.
find_python() {
	local candidate
	for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
		if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
			command -v "$candidate"
			return
		fi
	done
	die "no Python 3.11 or newer (looked for ${PYTHON:-python3})" \
		"Install it with: apt-get install python3 python3-venv"
}

# make_env PYTHON DIRECTORY REQUIREMENTS: from nothing; what an interrupted run left there goes.
make_env() {
	# Debian keeps ensurepip, without which an environment has no pip, in a package of its own.
	"$1" -c 'import ensurepip, venv' 2>/dev/null ||
		die "$1 cannot make virtual environments" "Install what it lacks with: apt-get install python3-venv"
	printf 'Making the Python environment %s, once; this takes a moment ...\n' "${2#"$PWD"/}" >&2
	"$1" -m venv --clear "$2" >&2 ||
		die "cannot make a virtual environment in $2" "The lines above say why; a full disk or missing rights are usual."
	# The file names every package. Without --no-deps, pips before 23.3 want newer versions of what is asked for with an
	# extra, such as pydantic[email], and then find no hash for them.
	"$2/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps \
		--requirement "$3" >&2 ||
		die "pip could not install $3" "The lines above say why. It needs the Python Package Index, https://pypi.org, or a mirror of it."
}

main() {
	help_if_asked "$@"
	[[ $# -eq 2 && $1 =~ ^[a-z_]+$ ]] || die 'a NAME and a file with REQUIREMENTS are needed' 'See: ops/python_env.sh --help'
	local env=$WARREN_DIR/.venvs/$1 requirements=$2 python key
	[[ -r $requirements ]] || die "cannot read $requirements" "The second argument is a requirements.txt."
	python=$(find_python)

	# What the environment is made of: these packages, for this version of Python (its name is in their path).
	key=$({
		"$python" -c 'import sys; print(sys.version_info[:2])'
		cat "$requirements"
	} | sha256sum | cut -d ' ' -f 1)

	mkdir -p "$WARREN_DIR/.venvs"
	# One at a time: a second run waits here, then finds the environment whole. The lock goes with the process.
	exec 9>"$env.lock"
	flock 9
	# The key is written last, so whatever ended half-way does not have it.
	if [[ ! -x $env/bin/python || $(cat "$env/key" 2>/dev/null) != "$key" ]]; then
		rm -f "$env/key"
		make_env "$python" "$env" "$requirements"
		printf '%s\n' "$key" >"$env/key"
	fi
	printf '%s\n' "$env/bin/python"
}

main "$@"
