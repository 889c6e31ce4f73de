#!/bin/bash
# forget_users NAME: remove all users of the ledger but this one, and close what they are connected with.
set -Eeuo pipefail

[[ $1 =~ ^ledger(_[0-9]+)?$ ]]
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 >/dev/null <<SQL
CREATE TEMPORARY TABLE earlier AS
	SELECT rolname FROM pg_roles JOIN pg_auth_members ON member = pg_roles.oid
	WHERE roleid = 'ledger_owner'::regrole AND rolname != '$1';
SELECT format('ALTER ROLE %I NOLOGIN', rolname) FROM earlier \gexec
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN (SELECT rolname FROM earlier);
SELECT format('DROP ROLE %I', rolname) FROM earlier \gexec
SQL
