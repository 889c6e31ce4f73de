#!/bin/bash
# Let PostgreSQL know a user of the ledger: name and password come on standard input. May be said again.
#
# All tables belong to ledger_owner, who cannot log in. Its users act in its name: so they come and go without a trace.
set -Eeuo pipefail

read -r user password
[[ $user =~ ^ledger(_[0-9]+)?$ && $password =~ ^[A-Za-z0-9_-]{16,}$ ]]

# By standard input: a command line can be read by others. If it fails, the log must not show it either.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<SQL
SET log_min_error_statement = panic;
SET client_min_messages = warning;
SELECT 'CREATE ROLE ledger_owner NOLOGIN' WHERE to_regrole('ledger_owner') IS NULL \gexec
SELECT 'CREATE DATABASE warren OWNER ledger_owner' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'warren') \gexec
SELECT 'CREATE ROLE $user' WHERE to_regrole('$user') IS NULL \gexec
ALTER ROLE $user LOGIN PASSWORD '$password';
GRANT ledger_owner TO $user;
ALTER ROLE $user SET role = 'ledger_owner';
REVOKE ALL ON DATABASE warren FROM PUBLIC;
SQL
