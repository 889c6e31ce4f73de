#!/usr/bin/env bash
# Tokens, with which programs say who they are, where AUTH=on: make, list and revoke them.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"

usage() {
	cat <<-HELP
		Usage: ops/tokens.sh add NAME [--role viewer|operator|admin] [--days N] | list | revoke NAME

		Programs send a token with each request: Authorization: Bearer TOKEN

		  add     make a token, of the role operator unless --role says otherwise; it is shown once. With --days it
		          expires
		  list    their names and roles, when they expire, and when they were used last
		  revoke  let nobody in by that token any more, within a second

		Examples:
		  ops/tokens.sh add nightly --days 90
		  ops/tokens.sh revoke nightly
	HELP
}

help_if_asked "$@"
if [[ $# -eq 0 ]]; then die 'what is to be done?' 'See: ops/tokens.sh --help'; fi
require_running "$FLASK_CONTAINER"
exec docker exec "$FLASK_CONTAINER" python -m webapp.commands.tokens "$@"
