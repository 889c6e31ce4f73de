# shellcheck shell=bash
# Every name, port and limit the scripts use. Each one can be overridden from the environment:
#   PREFIX=demo PORT=8010 DB_DIR=db/demo ./build.sh
# Sourced by every script, never run. The table in README.md explains each setting.
# shellcheck disable=SC2034  # the names are used by the scripts that source this file

WARREN_DIR=${WARREN_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)}

# --- where it is reached -------------------------------------------------------------------------
PREFIX=${PREFIX:-my}                    # starts every image, container, network and volume name
BIND_ADDRESS=${BIND_ADDRESS:-127.0.0.1} # a published port bypasses ufw, so loopback unless told otherwise
PORT=${PORT:-8000}                      # Nginx, the only published port
HOSTS=${HOSTS:-}                        # names under which it is asked, besides localhost; commas between them

# --- how much each client may ask for ------------------------------------------------------------
CLIENT_REQUESTS=${CLIENT_REQUESTS:-}       # requests per second; 0: no limit; empty: 100, and no limit on loopback
CLIENT_CONNECTIONS=${CLIENT_CONNECTIONS:-} # connections at a time; the same

# --- who may come in ------------------------------------------------------------------------------
AUTH=${AUTH:-}                               # on or off: login and tokens; empty: off on loopback if it was never on
SESSION_LIFETIME=${SESSION_LIFETIME:-43200}  # seconds that a person stays logged in
TOKEN_SUBMISSIONS=${TOKEN_SUBMISSIONS:-0}    # jobs that each token may submit in a minute; 0: no limit
STREAMS_PER_PERSON=${STREAMS_PER_PERSON:-50} # open event streams of one person or token in each Gunicorn process
AUDIT_EXPIRES=${AUDIT_EXPIRES:-31536000}     # seconds it is kept who did what

# --- TLS -----------------------------------------------------------------------------------------
TLS=${TLS:-}             # on or off; empty: on beyond loopback, or with TLS_CERT
TLS_CERT=${TLS_CERT:-}   # your own certificate with all of its chain, and ...
TLS_KEY=${TLS_KEY:-}     # ... its key; empty: the stack makes an authority of its own
HTTP_PORT=${HTTP_PORT:-} # a second published port, which sends people on to TLS; empty: none
ACME_DIR=${ACME_DIR:-}   # what is in this folder is shown at HTTP_PORT, for Let's Encrypt

# --- where it keeps things -----------------------------------------------------------------------
DB_DIR=${DB_DIR:-$WARREN_DIR/db}                        # mounted at /db: the ledger; a name without a slash is a volume
EXPORTS_DIR=${EXPORTS_DIR:-}                            # mounted at /exports: CSV files; empty: beside the ledger
SECRETS_DIR=${SECRETS_DIR:-$WARREN_DIR/secrets/$PREFIX} # generated passwords, files of mode 0600
LEDGER=${LEDGER:-}                                      # sqlite, or postgresql in a container of its own; empty: see below
DATABASE_URL=${DATABASE_URL:-}                          # a PostgreSQL that is somewhere else

# --- more machines than one (build.sh --cluster) ---------------------------------------------------
CLUSTER_ENCRYPTION=${CLUSTER_ENCRYPTION:-} # on or off: what goes from machine to machine; empty: as before, at first on

# --- what it is built from -----------------------------------------------------------------------
BASE_IMAGE=${BASE_IMAGE:-}                                   # empty: debian:trixie-slim, or made by debootstrap
DEBIAN_MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian} # where debootstrap finds Debian
DEBIAN_SECURITY_MIRROR=${DEBIAN_SECURITY_MIRROR:-http://deb.debian.org/debian-security}

# --- how much it does at once --------------------------------------------------------------------
WEB_PROCESSES=${WEB_PROCESSES:-2}                       # Gunicorn processes
WEB_THREADS=${WEB_THREADS:-32}                          # threads in each of them
WEB_STREAMS=${WEB_STREAMS:-500}                         # open event streams in each of them
CELERY_QUEUES=${CELERY_QUEUES:-heavy,export,arithmetic} # queues the first worker consumes
CELERY_CONCURRENCY=${CELERY_CONCURRENCY:-8}             # pool processes in each worker container
CELERY_PREFETCH=${CELERY_PREFETCH:-4}                   # messages fetched ahead for each of those

# --- limits of a job -----------------------------------------------------------------------------
BACKLOG_LIMIT=${BACKLOG_LIMIT:-100000}   # unfinished jobs; beyond it new ones are answered 503
MAX_DELIVERIES=${MAX_DELIVERIES:-5}      # runs that may die without a report before a job is FAILURE
WORKER_LEASE=${WORKER_LEASE:-10}         # seconds without a heartbeat after which a worker counts as dead
RESULT_EXPIRES=${RESULT_EXPIRES:-604800} # seconds an ended job stays in the ledger
EXPORT_EXPIRES=${EXPORT_EXPIRES:-86400}  # seconds an exported file can be downloaded
RETIRE_TIMEOUT=${RETIRE_TIMEOUT:-1200}   # seconds a worker that is retired may go on with the jobs it runs

# --- mail ----------------------------------------------------------------------------------------
SMTP_URL=${SMTP_URL:-} # smtp://[user:password@]host[:port] or smtps://...; empty: mails are only recorded

# --- notices -------------------------------------------------------------------------------------
NOTIFY_URL=${NOTIFY_URL:-}   # http(s)://host[:port]/path, which gets a signed POST; empty: nothing is posted
NOTIFY_MAIL=${NOTIFY_MAIL:-} # addresses with commas between them, by the server of SMTP_URL; empty: no mail

# --- tools that are off until they are started (ops/prometheus.sh, ops/flower.sh) -----------------
PROMETHEUS_RETENTION=${PROMETHEUS_RETENTION:-15d} # how long figures are kept ...
PROMETHEUS_SIZE=${PROMETHEUS_SIZE:-1GB}           # ... and how much room they may take

# --- limits of the containers --------------------------------------------------------------------
NGINX_MEMORY=${NGINX_MEMORY:-64m}
FLASK_MEMORY=${FLASK_MEMORY:-512m}
RABBITMQ_MEMORY=${RABBITMQ_MEMORY:-768m}
CELERY_MEMORY=${CELERY_MEMORY:-512m}
BEAT_MEMORY=${BEAT_MEMORY:-192m}
POSTGRES_MEMORY=${POSTGRES_MEMORY:-512m}
ETCD_MEMORY=${ETCD_MEMORY:-192m}
PROMETHEUS_MEMORY=${PROMETHEUS_MEMORY:-256m}
FLOWER_MEMORY=${FLOWER_MEMORY:-256m}
CELERY_CPU_SHARES=${CELERY_CPU_SHARES:-128}       # against 1024 of every other container, where processors are scarce
PIDS_LIMIT=${PIDS_LIMIT:-256}                     # processes and threads in a container
POSTGRES_CONNECTIONS=${POSTGRES_CONNECTIONS:-300} # most connections to the stack's own PostgreSQL
LOG_MAX_SIZE=${LOG_MAX_SIZE:-10m}                 # of a container's log file, of which two are kept
STOP_TIMEOUT=${STOP_TIMEOUT:-30}                  # seconds between SIGTERM and SIGKILL
HEALTH_TIMEOUT=${HEALTH_TIMEOUT:-120}             # seconds a container may take to become healthy

# --- names that follow from the prefix -----------------------------------------------------------
BASE=${BASE_IMAGE:-warren_base:trixie}  # what the Dockerfiles start FROM; a made one serves all prefixes
NETWORK=${PREFIX}_network               # the whole system; --internal
FRONT_NETWORK=${PREFIX}_front_network   # Nginx and Flask; workers and beat only if they send mail or notices
KEEPER_NETWORK=${PREFIX}_keeper_network # PostgreSQL and etcd, where three machines keep each other's place; --internal
RABBITMQ_VOLUME=${PREFIX}_rabbitmq_data
POSTGRES_VOLUME=${PREFIX}_postgres_data
ETCD_VOLUME=${PREFIX}_etcd_data
PORT_VOLUME=${PREFIX}_port # through it Nginx gets the published port
PORT_CONTAINER=${PREFIX}_port_container
PROMETHEUS_VOLUME=${PREFIX}_prometheus_data
NGINX_CONTAINER=${PREFIX}_nginx_container
FLASK_CONTAINER=${PREFIX}_flask_container
POSTGRES_CONTAINER=${PREFIX}_postgres_container
ETCD_CONTAINER=${PREFIX}_etcd_container
RABBITMQ_CONTAINER=${PREFIX}_rabbitmq_container
CELERY_CONTAINER=${PREFIX}_celery_container
BEAT_CONTAINER=${PREFIX}_beat_container
SBOM_DIR=$WARREN_DIR/sbom/$PREFIX # what the images are made of: ops/sbom.sh
# On containers, networks and the broker's volume: whose they are (see ops/ownership.sh).
STACK_LABELS=(--label "warren.stack=$PREFIX" --label "warren.dir=$WARREN_DIR")

# on_loopback: can only this machine reach the stack?
on_loopback() { [[ $BIND_ADDRESS == 127.* || $BIND_ADDRESS == localhost || $BIND_ADDRESS == ::1 ]]; }

if [[ -z $TLS ]]; then
	TLS=on
	if on_loopback && [[ -z $TLS_CERT ]]; then TLS=off; fi
fi

# Login is switched off only by saying so, each time. The keys are there if it was ever on.
if [[ -z $AUTH ]]; then
	AUTH=on
	if on_loopback && [[ ! -e $SECRETS_DIR/session_keys ]]; then AUTH=off; fi
fi

# More machines than one: ops/cluster.sh writes this file. It has the address at which others reach this machine, and who
# made the Swarm. If it is one of three (ops/nodes.sh), also its number, its name, and the addresses of all.
CLUSTER_ADDRESS='' encryption=on SWARM=found NODE='' HOST='' CLUSTER_ADDRESSES=''
if [[ -r $SECRETS_DIR/cluster ]]; then read -r CLUSTER_ADDRESS encryption SWARM NODE HOST CLUSTER_ADDRESSES <"$SECRETS_DIR/cluster"; fi
: "${CLUSTER_ENCRYPTION:=$encryption}"

# of_node ROLE [NUMBER]: the name by which all machines know that container of the machine with this number.
of_node() { printf '%s_%s_%s' "$PREFIX" "$1" "${2:-$NODE}"; }

# be_a_node: what is named otherwise, if this is one of three machines.
be_a_node() {
	CELERY_CONTAINER=${PREFIX}_celery_container_$HOST
	POSTGRES_HOST=$(of_node postgres 1),$(of_node postgres 2),$(of_node postgres 3)
}
POSTGRES_HOST=$POSTGRES_CONTAINER # where the ledger is, if it is in a PostgreSQL of the stack
if [[ -n $NODE ]]; then be_a_node; fi

# The ledger stays where the last build.sh has put it: an empty one in its place would look as if all jobs were gone.
# After this, LEDGER says which kind it is. DATABASE_URL is empty if it is the stack's own PostgreSQL, whose address follows
# from its password (see ops/secrets.sh).
LEDGER_BEFORE=
if [[ -r $SECRETS_DIR/database_url ]]; then LEDGER_BEFORE=$(<"$SECRETS_DIR/database_url"); fi
if [[ -z $LEDGER && -z $DATABASE_URL && $LEDGER_BEFORE != *"@$POSTGRES_HOST/"* ]]; then DATABASE_URL=$LEDGER_BEFORE; fi
if [[ -z $LEDGER ]]; then
	LEDGER=postgresql
	if [[ $DATABASE_URL == sqlite:* || -z $DATABASE_URL$LEDGER_BEFORE ]]; then LEDGER=sqlite; fi
fi
if [[ $LEDGER == sqlite && -z $DATABASE_URL ]]; then DATABASE_URL=sqlite:////db/backend.db; fi

# own_postgres: is the ledger in a PostgreSQL of the stack itself?
own_postgres() { [[ $LEDGER == postgresql && -z $DATABASE_URL ]]; }

# far_postgres: is it in one that is somewhere else, out of the inner network?
far_postgres() { [[ $LEDGER == postgresql && -n $DATABASE_URL ]]; }

# On loopback all clients have one address, that of Docker's network, so a limit would be one for all of them together.
client_limit=100
if on_loopback; then client_limit=0; fi
: "${CLIENT_REQUESTS:=$client_limit}" "${CLIENT_CONNECTIONS:=$client_limit}"

# Docker wants whole paths. A DB_DIR or EXPORTS_DIR without a slash is the name of a Docker volume.
if [[ $DB_DIR == */* ]]; then
	DB_DIR=$(realpath --canonicalize-missing "$DB_DIR")
	if [[ -z $EXPORTS_DIR ]]; then EXPORTS_DIR=$DB_DIR/exports; fi
fi
if [[ -z $EXPORTS_DIR ]]; then EXPORTS_DIR=${DB_DIR}_exports; fi
if [[ $EXPORTS_DIR == */* ]]; then EXPORTS_DIR=$(realpath --canonicalize-missing "$EXPORTS_DIR"); fi
SECRETS_DIR=$(realpath --canonicalize-missing "$SECRETS_DIR")
if [[ -n $ACME_DIR ]]; then ACME_DIR=$(realpath --canonicalize-missing "$ACME_DIR"); fi

# Containers run as whoever runs build.sh, who then owns the files on bind mounts; but never as root.
WARREN_UID=$EUID
WARREN_GID=$(id --group)
if [[ $EUID -eq 0 ]]; then WARREN_UID=10001 WARREN_GID=10001; fi

# Another machine than the first keeps what it was told by that, which counts more than what is above.
MACHINE='' MANAGER='' NOTICES=''
if [[ -r $SECRETS_DIR/joined ]]; then
	while IFS='=' read -r name value; do printf -v "$name" '%s' "$value"; done <"$SECRETS_DIR/joined"
	CELERY_CONTAINER+=_$MACHINE
fi
