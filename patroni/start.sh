#!/bin/bash
# start NAME ETCD: start Patroni, which starts PostgreSQL. NAME is how the other machines reach this container.
set -Eeuo pipefail

secret() { cat "/run/secrets/$1"; }

export PATRONI_NAME=$1 PATRONI_ETCD3_HOSTS=$2
export PATRONI_POSTGRESQL_CONNECT_ADDRESS=$1:5432 PATRONI_RESTAPI_CONNECT_ADDRESS=$1:8008
# Through the environment of this process, so that they are in no file and in no command line.
PATRONI_REPLICATION_PASSWORD=$(secret replication_password)
PATRONI_REWIND_PASSWORD=$(secret rewind_password)
PATRONI_RESTAPI_PASSWORD=$(secret patroni_password)
export PATRONI_REPLICATION_PASSWORD PATRONI_REWIND_PASSWORD PATRONI_RESTAPI_PASSWORD

sed "s/@CONNECTIONS@/$POSTGRES_CONNECTIONS/; s/@SHARED_BUFFERS@/${SHARED_BUFFERS_MB}MB/" /etc/warren/patroni.yml >/tmp/patroni.yml
exec patroni /tmp/patroni.yml
