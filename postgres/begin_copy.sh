#!/bin/bash
# Make an empty database for ops/move_ledger.sh to copy a ledger into, in place of a copy that was not completed.
set -Eeuo pipefail

MARK='a copy that is not the ledger yet'

# ask DATABASE QUESTION
ask() { psql --no-psqlrc --tuples-only --no-align --dbname "$1" --command "$2"; }

mark=$(ask postgres "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'warren'")
if [[ $mark != "$MARK" && -n $(ask warren "SELECT to_regclass('job')") ]]; then
	echo 'error: there is a ledger in PostgreSQL already, which was not made by a move' >&2
	exit 1
fi

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<SQL
DROP DATABASE warren WITH (FORCE);
CREATE DATABASE warren OWNER ledger_owner;
REVOKE ALL ON DATABASE warren FROM PUBLIC;
COMMENT ON DATABASE warren IS '$MARK';
SQL
