#!/usr/bin/env bash
# Pin every Python requirement with hashes: each requirements.in becomes the requirements.txt beside it.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ${1:-} == --help ]]; then
	cat <<-'HELP'
		Usage: ops/lock.sh [--upgrade]

		Compiles every requirements.in into a requirements.txt with exact versions and hashes.
		Versions that are locked stay as they are; --upgrade takes the newest that are allowed.
		Needs uv: pip install uv
	HELP
	exit 0
fi

command -v uv >/dev/null || {
	printf 'error: uv is not installed\n\nInstall it with: pip install uv\n' >&2
	exit 1
}

# jobs/ comes first: the images above it are held to its versions, so that they share its layer.
for dir in jobs flask celery locust tests; do
	constraint=(--constraint jobs/requirements.txt)
	[[ $dir == jobs ]] && constraint=()
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command ops/lock.sh "${constraint[@]}" "$@" \
		--output-file "$dir/requirements.txt" "$dir/requirements.in"
done
