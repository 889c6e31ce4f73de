#!/bin/bash
# has_place USER: does this PostgreSQL lead, with another one that has all it has? Or does it follow, and has this user?
set -Eeuo pipefail

[[ $1 =~ ^ledger(_[0-9]+)?$ ]]
[[ $(psql --no-psqlrc --tuples-only --no-align --command "
	SELECT CASE WHEN pg_is_in_recovery()
		THEN EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') AND to_regrole('$1') IS NOT NULL
		ELSE EXISTS (SELECT FROM pg_stat_replication WHERE sync_state IN ('quorum', 'sync'))
	END") == t ]]
