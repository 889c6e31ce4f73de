#!/bin/bash
# Start PostgreSQL; at the first start, make its files.
set -Eeuo pipefail

if [[ ! -e $PGDATA ]]; then
	for other in "${PGDATA%/*}"/*; do
		if [[ -e $other/PG_VERSION && $other != *.new ]]; then
			echo "error: the volume has a ledger of PostgreSQL $(<"$other/PG_VERSION"), which this version does not read" >&2
			exit 1
		fi
	done
	# Under another name first, so that an interrupted start leaves no half of them.
	rm -rf "$PGDATA.new"
	# Whoever is this user in this container may do everything, and nobody else is an administrator: see pg_hba.conf.
	# Builtin: the order of texts does not change with a newer Debian, for then indexes would be broken.
	initdb --pgdata "$PGDATA.new" --data-checksums --encoding UTF8 --locale C.UTF-8 \
		--locale-provider builtin --builtin-locale C.UTF-8 --auth-local peer --auth-host scram-sha-256
	mv "$PGDATA.new" "$PGDATA"
fi

exec postgres -c config_file=/etc/warren/postgresql.conf \
	-c "max_connections=$POSTGRES_CONNECTIONS" -c "shared_buffers=${SHARED_BUFFERS_MB}MB"
