#!/usr/bin/env bash
# Draw the Mermaid texts of the documentation, for the pages within the site.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=ops/lib.sh
source ops/lib.sh

VERSION=12.3.0
SHA512=e35d774dd5de2c0b0caee27bf4ea452f93bcf8b4c55e142a676eb4ac5ded8149a2340b519b852e99ed3823eeb93d137ac99ebd2787fcad56165bccd193ae5463

usage() {
	cat <<-HELP
		Usage: ops/drawings.sh

		Draws each \`mermaid\` block of README.md and docs/ into docs/drawings/, as an SVG in the colours of the site,
		light and dark. GitHub draws the blocks by itself; the pages within the site show these files. A test tells
		when one of them is not up to date.

		It takes Mermaid $VERSION from npm, and draws in Chromium: apt-get install npm chromium
	HELP
}

help_if_asked "$@"
[[ $# -eq 0 ]] || die "unknown argument: $1" 'See: ops/drawings.sh --help'
command -v npm >/dev/null || die 'npm is not installed' 'Install it with: apt-get install npm'

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm pack --silent --pack-destination "$folder" "mermaid@$VERSION" >/dev/null
sha512sum --check --quiet <<<"$SHA512  $folder/mermaid-$VERSION.tgz" ||
	die "this is not Mermaid $VERSION as it was published" 'Look at the registry that npm asks: npm config get registry'
tar -xzf "$folder/mermaid-$VERSION.tgz" -C "$folder" package/dist/mermaid.min.js

python=$(ops/python_env.sh tests tests/requirements.txt)
"$python" -m tests.browser.drawings "$folder/package/dist/mermaid.min.js"
