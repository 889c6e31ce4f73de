#!/bin/bash
# start NAME ETCD [first]: start Patroni, which starts PostgreSQL. NAME is how the other machines reach this container.
set -Eeuo pipefail

secret() { cat "/run/secrets/$1"; }

export PATRONI_NAME=$1 PATRONI_ETCD3_HOSTS=$2
export PATRONI_POSTGRESQL_CONNECT_ADDRESS=$1:5432 PATRONI_RESTAPI_CONNECT_ADDRESS=$1:8008
# Through the environment of this process, so that they are in no file and in no command line.
PATRONI_REPLICATION_PASSWORD=$(secret replication_password)
PATRONI_REWIND_PASSWORD=$(secret rewind_password)
PATRONI_RESTAPI_PASSWORD=$(secret patroni_password)
export PATRONI_REPLICATION_PASSWORD PATRONI_REWIND_PASSWORD PATRONI_RESTAPI_PASSWORD

# A PostgreSQL that was alone until now, and has the ledger already, does not know the users of the others.
if [[ -e $PGDATA/PG_VERSION && ! -e $PGDATA/patroni.dynamic.json && ! -e $PGDATA/standby.signal ]]; then
	alone=(-c config_file=/etc/warren/postgresql.conf -c listen_addresses=)
	pg_ctl --silent --wait --options "${alone[*]}" start
	# By standard input: a command line can be read by others. If it fails, the log must not show it either.
	psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<-SQL
		SET log_min_error_statement = panic;
		SELECT 'CREATE ROLE ' || name FROM unnest(ARRAY['replication', 'rewind']) AS name WHERE to_regrole(name) IS NULL \\gexec
		ALTER ROLE replication REPLICATION LOGIN PASSWORD '$PATRONI_REPLICATION_PASSWORD';
		ALTER ROLE rewind LOGIN PASSWORD '$PATRONI_REWIND_PASSWORD';
		GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean), pg_read_binary_file(text),
			pg_read_binary_file(text, bigint, bigint, boolean) TO rewind;
	SQL
	pg_ctl --silent --wait --mode fast stop
fi

# Only the first machine begins a ledger, or brings one: others that were faster would begin an empty one beside it.
parts=(/etc/warren/patroni.yml)
if [[ ${3:-} == first ]]; then parts+=(/etc/warren/bootstrap.yml); fi
sed "s/@CONNECTIONS@/$POSTGRES_CONNECTIONS/; s/@SHARED_BUFFERS@/${SHARED_BUFFERS_MB}MB/" "${parts[@]}" >/tmp/patroni.yml
exec patroni /tmp/patroni.yml
