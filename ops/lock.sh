#!/usr/bin/env bash
# Pin every Python requirement with hashes: each requirements.in becomes the requirements.txt beside it.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=ops/lib.sh
source ops/lib.sh

usage() {
	cat <<-'HELP'
		Usage: ops/lock.sh [--upgrade]

		Compiles every requirements.in into a requirements.txt with exact versions and hashes.
		Versions that are locked stay as they are; --upgrade takes the newest that are allowed.
		Needs uv: pip install uv
	HELP
}

help_if_asked "$@"
command -v uv >/dev/null || die 'uv is not installed' 'Install it with: pip install uv'

# jobs/ comes first: the images above it are held to its versions, so that they share its layer.
for dir in jobs flask celery flower ops/supply locust tests bench bench/contestants/*/; do
	dir=${dir%/}
	constraint=()
	if [[ $dir != jobs ]]; then constraint=(--constraint jobs/requirements.txt); fi
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command ops/lock.sh "${constraint[@]}" "$@" \
		--output-file "$dir/requirements.txt" "$dir/requirements.in"
done
