#!/usr/bin/env bash
# Who may log in, where AUTH=on: add people, give them another password, let them in no more.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"

usage() {
	cat <<-HELP
		Usage: ops/users.sh add NAME [--role viewer|operator|admin] | list | password NAME | revoke NAME

		People log in at /flask/login with a name and a password.

		  add       let somebody in, as a viewer unless --role says more; the password is made, and shown once
		  list      who may log in, with which role, and when they did so last
		  password  make another password, which ends all sessions of that person
		  revoke    let somebody in no more; their sessions end within a second

		A viewer looks, an operator also submits and changes, an admin also decides who may come in.

		Examples:
		  ops/users.sh add ann --role operator
		  ops/users.sh list
	HELP
}

help_if_asked "$@"
if [[ $# -eq 0 ]]; then die 'what is to be done?' 'See: ops/users.sh --help'; fi
require_running "$FLASK_CONTAINER"
exec docker exec "$FLASK_CONTAINER" python -m webapp.commands.users "$@"
