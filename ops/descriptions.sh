# shellcheck shell=bash
# What each container of the stack is.
# Sourced by ops/containers.sh, never run.
#
# A describe_* function says what a container should be, in these variables. What it should be is hashed into
# the label warren.spec, so that a container which is that already is left alone.
# shellcheck disable=SC2034  # they are read in ops/containers.sh

# Docker's DNS passes a name that it does not know on to the machine's servers, which an internal network cannot reach:
# looking up a container that is stopped takes 10 to 20 s then. With ndots above 0 Docker does not pass on names without
# a dot, such as those of containers, and says at once that it does not know them.
dns=(--dns-opt ndots:1 --dns-opt timeout:1 --dns-opt attempts:1)

# For how many seconds a request waits for a PostgreSQL that is renewed, or for another one that takes over. What is planned
# takes about 4 s; where a machine has died, it takes longer, and requests are refused after this time.
LEDGER_PATIENCE=8

role=           # what it is in the stack: the label warren.role
image=          # what it runs
arguments=()    # of `docker create`
command=()      # empty: the image's own
config_files=() # mounted files that are read once, at the start
only_for=()     # not empty: only a change of this, or of those files, makes a new container
second_network= # joined before the start, besides the one in the arguments

TOOLS=(flower prometheus rabbitmq_ui) # roles of the tools that are off until they are started: ops/tools.sh

# describe ROLE IMAGE MEMORY NETWORK: what all have in common.
describe() {
	role=$1 image=${PREFIX}_$2 command=() config_files=() only_for=() second_network=
	# shellcheck disable=SC2054  # the commas belong to --tmpfs
	arguments=(
		"${STACK_LABELS[@]}" --label "warren.role=$role"
		--network "$4" "${dns[@]}"
		# No way to change the image's files, to gain rights, or to starve the machine
		--read-only --tmpfs /tmp:rw,nosuid,nodev,noexec,mode=1777
		--cap-drop ALL --security-opt no-new-privileges
		--memory "$3" --memory-swap "$3" --pids-limit "$PIDS_LIMIT"
		--restart unless-stopped --stop-timeout "$STOP_TIMEOUT"
		--log-driver json-file --log-opt "max-size=$LOG_MAX_SIZE" --log-opt max-file=2
	)
	# In another inner network it has to be another container.
	if [[ -n $(inner_network) ]]; then arguments+=(--label "warren.network=$(inner_network)"); fi
}

# inner_network: what it is in a few words, if it is an overlay; nothing for the bridge of one machine.
inner_network() {
	if [[ -n $CLUSTER_ADDRESS$MACHINE ]]; then printf 'overlay, encryption %s' "$CLUSTER_ENCRYPTION"; fi
}

# secret FILE TARGET: mount a file of SECRETS_DIR at /run/secrets/TARGET.
secret() {
	arguments+=(--mount "type=bind,source=$SECRETS_DIR/$1,target=/run/secrets/$2,readonly")
	config_files+=("$SECRETS_DIR/$1")
}

# broker_user ROLE NAME: who the container is at RabbitMQ: NAME_USER, with the password in /run/secrets/NAME_password.
broker_user() {
	local user
	user=$(newest_user "$1")
	arguments+=(--env "${2^^}_USER=$user")
	secret "${user}_password" "${2}_password"
}

# newest_user ROLE: RabbitMQ's user for this role, or with `ledger` that of PostgreSQL. After each renewal of its password that
# is another one, publisher_2 in place of publisher: so both may log in until nobody needs the earlier one (see
# ops/rotate_secrets.sh).
newest_user() {
	{
		printf '%s\n' "$1"
		users_of "$1"
	} | tail -n 1
}

# users_of ROLE: those that have a password, the newest last.
users_of() {
	find "$SECRETS_DIR" -maxdepth 1 -regextype egrep -regex ".*/$1(_[0-9]+)?_password" -printf '%f\n' |
		sed 's/_password$//' | sort -V
}

# pass NAME...: hand these settings to the container.
pass() {
	local name
	for name in "$@"; do arguments+=(--env "$name=${!name}"); done
}

describe_rabbitmq() {
	local memory name=$RABBITMQ_CONTAINER
	memory=$(numfmt --from=iec "${RABBITMQ_MEMORY^^}")
	describe rabbitmq rabbitmq "$RABBITMQ_MEMORY" "$NETWORK"
	if [[ -n $NODE ]]; then
		name=$(of_node rabbitmq)
		arguments+=(
			--network-alias "$name"
			--env "RABBITMQ_1=$(of_node rabbitmq 1)" --env "RABBITMQ_2=$(of_node rabbitmq 2)" --env "RABBITMQ_3=$(of_node rabbitmq 3)"
			--env RABBITMQ_CONFIG_FILES=/etc/rabbitmq/three_machines.conf
			# By it the three know each other.
			--mount "type=bind,source=$SECRETS_DIR/erlang_cookie,target=/var/lib/rabbitmq/.erlang.cookie,readonly"
		)
	fi
	arguments+=(
		# The data belongs to the node rabbit@HOSTNAME, so the name must stay.
		--hostname "$name"
		--volume "$RABBITMQ_VOLUME:/var/lib/rabbitmq"
		--env "RABBITMQ_WATERMARK=$((memory * 6 / 10))"
	)
	secret rabbitmq_definitions.json rabbitmq_definitions.json
	config_files=() # not only at the start: see teach_rabbitmq
}

describe_postgres() {
	local memory
	memory=$(numfmt --from=iec "${POSTGRES_MEMORY^^}")
	describe postgres postgres "$POSTGRES_MEMORY" "$NETWORK"
	if [[ -n $NODE ]]; then lead_or_follow; fi
	arguments+=(
		--volume "$POSTGRES_VOLUME:/var/lib/postgresql"
		--pids-limit "$((POSTGRES_CONNECTIONS + 32))" # a process for each connection, and some of its own
		--env "POSTGRES_CONNECTIONS=$POSTGRES_CONNECTIONS"
		--env "SHARED_BUFFERS_MB=$((memory / 4 / 1024 / 1024))"
	)
}

# lead_or_follow: it is one of three, and Patroni decides which one leads.
lead_or_follow() {
	local name
	name=$(of_node postgres)
	image=${PREFIX}_patroni second_network=$KEEPER_NETWORK
	arguments+=(--network-alias "$name")
	secret replication_password replication_password
	secret rewind_password rewind_password
	secret patroni_password patroni_password
	command=(start "$name" "$(of_node etcd 1):2379,$(of_node etcd 2):2379,$(of_node etcd 3):2379")
	if [[ $NODE == 1 ]]; then command+=(first); fi
}

describe_etcd() {
	local number name members=()
	for number in 1 2 3; do
		name=$(of_node etcd "$number")
		members+=("$name=http://$name:2380")
	done
	name=$(of_node etcd)
	describe etcd etcd "$ETCD_MEMORY" "$KEEPER_NETWORK"
	arguments+=(--network-alias "$name" --volume "$ETCD_VOLUME:/var/lib/etcd")
	command=(start "$name" "$(paste --serial --delimiters , < <(printf '%s\n' "${members[@]}"))")
}

# reach_ledger: an inner network does not lead to a PostgreSQL that is somewhere else.
reach_ledger() { if far_postgres; then second_network=$FRONT_NETWORK; fi; }

# It only brings the ledger's schema up to date, with the address that is going to be everybody's (see migrate).
describe_migrate() {
	describe migrate flask "$FLASK_MEMORY" "$NETWORK"
	arguments+=(--volume "$DB_DIR:/db" --restart no)
	secret database_url.new database_url
	reach_ledger
	command=(python -m jobs.commands.migrate)
}

# pass_notices: say where notices go, if anywhere. Who sees a job fail notes it for them.
pass_notices() {
	local channels=$NOTICES # on another machine than the first
	if [[ -s $SECRETS_DIR/notify_url ]]; then channels=webhook; fi
	if [[ -s $SECRETS_DIR/notify_mail ]]; then channels+=${channels:+,}mail; fi
	if [[ -n $channels ]]; then arguments+=(--env "NOTICES=$channels" --env "STACK=$PREFIX"); fi
}

# describe_file_work COMMAND...: something to do with the ledger's file of SQLite, whether DB_DIR is a folder or a volume.
describe_file_work() {
	describe move flask "$FLASK_MEMORY" "$NETWORK"
	arguments+=(--init --restart no --no-healthcheck --volume "$DB_DIR:/db")
	command=("$@")
}

# describe_move FILE: it copies a ledger from this file into the PostgreSQL that is going to be the ledger.
describe_move() {
	describe_file_work python -m jobs.commands.move_ledger "$1"
	secret database_url.new database_url
}

# describe_backup FOLDER: it makes backup.tar.gz in that folder.
describe_backup() {
	describe_copying backup
	arguments+=(
		--volume "$EXPORTS_DIR:/exports:ro"
		--mount "type=bind,source=$SECRETS_DIR,target=/secrets,readonly"
		--mount "type=bind,source=$1,target=/backup"
	)
	command=(python -m jobs.commands.backup "$PREFIX")
}

# describe_restore ARGUMENT...: it reads a backup and replaces what is there, or does what the arguments say.
describe_restore() {
	describe_copying restore
	arguments+=(
		--interactive
		--volume "$EXPORTS_DIR:/exports"
		--mount "type=bind,source=$SECRETS_DIR,target=/secrets"
	)
	pass MAX_DELIVERIES
	command=(python -m jobs.commands.restore "$@")
}

# describe_copying ROLE: no hurry, and SIGTERM ends it at once; and no network, unless the ledger is on a server.
describe_copying() {
	local joined=none
	if [[ $LEDGER == postgresql ]]; then joined=$NETWORK; fi
	describe "$1" flask "$FLASK_MEMORY" "$joined"
	reach_ledger
	arguments+=(--init --restart no --no-healthcheck --cpu-shares "$CELERY_CPU_SHARES" --volume "$DB_DIR:/db")
	secret database_url database_url
}

# What the three Python containers share: the ledger, the broker, their settings.
describe_python() {
	describe "$@"
	arguments+=(--env "BROKER_HOST=$RABBITMQ_CONTAINER")
	# The folders are those of the first machine.
	if [[ -z $MACHINE ]]; then arguments+=(--volume "$DB_DIR:/db"); fi
	secret database_url database_url
	reach_ledger
	pass BACKLOG_LIMIT MAX_DELIVERIES WORKER_LEASE RESULT_EXPIRES EXPORT_EXPIRES AUDIT_EXPIRES STOP_TIMEOUT
}

describe_flask() {
	describe_python flask flask "$FLASK_MEMORY" "$NETWORK"
	second_network=$FRONT_NETWORK
	arguments+=(--volume "$EXPORTS_DIR:/exports:ro")
	pass WEB_PROCESSES WEB_THREADS WEB_STREAMS AUTH
	if [[ $LEDGER == postgresql ]]; then arguments+=(--env "LEDGER_PATIENCE=$LEDGER_PATIENCE"); fi
	if [[ $AUTH == on ]]; then
		pass SESSION_LIFETIME STREAMS_PER_PERSON TOKEN_SUBMISSIONS
		secret session_keys session_keys
	fi
	broker_user publisher broker
	broker_user monitor monitor
}

describe_beat() {
	describe_python beat celery "$BEAT_MEMORY" "$NETWORK"
	arguments+=(--volume "$EXPORTS_DIR:/exports")
	broker_user publisher broker
	broker_user monitor monitor
	pass_notices
	# Beat sends the notices, and can reach out only then.
	if [[ -s $SECRETS_DIR/notify_url ]]; then
		secret notify_url notify_url
		secret notify_secret notify_secret
		second_network=$FRONT_NETWORK
	fi
	if [[ -s $SECRETS_DIR/notify_mail ]]; then
		secret notify_mail notify_mail
		secret smtp_url smtp_url
		second_network=$FRONT_NETWORK
	fi
	command=(celery --quiet --app tasks beat --scheduler jobs.beat.scheduler:LedgerScheduler --loglevel INFO)
}

# describe_worker NAME QUEUES CONCURRENCY
describe_worker() {
	describe_python worker celery "$CELERY_MEMORY" "$NETWORK"
	if [[ -z $MACHINE ]]; then arguments+=(--volume "$EXPORTS_DIR:/exports"); fi
	arguments+=(
		# Whoever waits for an answer goes before the jobs. Idle processors are theirs all the same.
		--cpu-shares "$CELERY_CPU_SHARES"
		--label "warren.queues=$2" --label "warren.concurrency=$3"
		# A name that stands for all workers: whoever looks it up gets the addresses of those that run.
		--network-alias "${PREFIX}_workers"
		--env "WORKER_NAME=$1"
		--env "CELERY_QUEUES=$2" --env "CELERY_CONCURRENCY=$3"
	)
	pass CELERY_PREFETCH RETIRE_TIMEOUT
	if [[ -n $CLUSTER_ADDRESS$MACHINE ]]; then arguments+=(--env REMOTE_CONTROL=off); fi
	broker_user worker broker
	pass_notices
	# Only a worker that sends mail can reach out. What build.sh was told counts for workers that are added, too.
	if [[ -s $SECRETS_DIR/smtp_url ]]; then
		secret smtp_url smtp_url
		second_network=$FRONT_NETWORK
	fi
	command=(
		celery --quiet --app tasks worker --queues "$2" --concurrency "$3" --hostname "worker@$1"
		--pool prefork --without-gossip --without-mingle --loglevel INFO
	)
}

# A published port cannot pass from one container to another. So its owner is never renewed, except for other ports.
describe_port() {
	describe port nginx 32m "$FRONT_NETWORK"
	arguments+=(
		--publish "$BIND_ADDRESS:$PORT:8080"
		--mount "type=bind,source=$WARREN_DIR/nginx,target=/etc/warren,readonly"
		--volume "$PORT_VOLUME:/run/warren"
		--health-cmd 'timeout 3 /etc/warren/port.py borrow true' --health-interval 10s
	)
	command=(/etc/warren/port.py hold 8080)
	if [[ -n $HTTP_PORT ]]; then
		arguments+=(--publish "$BIND_ADDRESS:$HTTP_PORT:8082")
		command+=(8082)
	fi
	config_files=("$WARREN_DIR/nginx/port.py")
	only_for=("$BIND_ADDRESS:$PORT:$HTTP_PORT")
}

describe_nginx() {
	local memory
	describe nginx nginx "$NGINX_MEMORY" "$FRONT_NETWORK"
	arguments+=(
		# A new owner of the port has a new socket
		--label "warren.port=$(docker container inspect --format '{{.Id}}' "$PORT_CONTAINER")"
		--volume "$PORT_VOLUME:/run/warren:ro"
		--env "FLASK_CONTAINER=$FLASK_CONTAINER"
		--env "HOSTS=$(own_names)"
		--mount "type=bind,source=$WARREN_DIR/nginx,target=/etc/warren,readonly"
		--mount "type=bind,source=$WARREN_DIR/document_root,target=/usr/share/warren,readonly"
		--mount "type=bind,source=$WARREN_DIR/docs,target=/usr/share/warren_docs,readonly"
		--volume "$EXPORTS_DIR:/exports:ro"
		# The folder, because files come and go in it: see ops/tools.sh
		--mount "type=bind,source=$SECRETS_DIR/tools,target=/run/tools,readonly"
	)
	pass AUTH TLS HTTP_PORT
	# Flask waits for its ledger: some seconds for the disk of SQLite, or for a PostgreSQL that takes writes.
	if [[ $LEDGER == postgresql ]]; then arguments+=(--env "FLASK_TIMEOUT=$((LEDGER_PATIENCE + 4))"); fi
	if [[ $TLS == on ]]; then
		# The folder, because a new certificate is a new file
		arguments+=(--mount "type=bind,source=$SECRETS_DIR/tls,target=/run/tls,readonly")
		pass PORT
	fi
	if [[ -n $ACME_DIR ]]; then arguments+=(--mount "type=bind,source=$ACME_DIR,target=/usr/share/acme,readonly"); fi
	# Bodies that are still coming in are kept in memory. If they have no more room, only they are refused.
	memory=$(numfmt --from=iec "${NGINX_MEMORY^^}")
	arguments+=(--tmpfs "/tmp/client_body:rw,nosuid,nodev,noexec,mode=1777,size=$((memory / 2))")
	pass CLIENT_REQUESTS CLIENT_CONNECTIONS
}

# own_names: the names, and the address, under which the stack may be asked, besides those of loopback.
own_names() {
	local name names=()
	IFS=', ' read -r -a names <<<"${HOSTS,,}"
	if ! on_loopback; then names+=("$BIND_ADDRESS"); fi
	if [[ $BIND_ADDRESS == 0.0.0.0 ]]; then
		for name in "$(hostname || true)" "$(timeout 3 hostname --fqdn || true)"; do names+=("${name,,}"); done
	fi
	# Each once, for Nginx would refuse to read it twice
	printf '%s\n' "${names[@]}" | sed '/^localhost$/d; /^$/d' | sort --unique | paste --serial --delimiters ' '
}

# describe_openssl COMMAND...: one of nginx/certificate.sh.
describe_openssl() {
	describe openssl nginx "$NGINX_MEMORY" none
	arguments+=(
		--interactive --restart no --no-healthcheck
		--mount "type=bind,source=$WARREN_DIR/nginx,target=/etc/warren,readonly"
		--mount "type=bind,source=$SECRETS_DIR,target=/secrets"
	)
	pass PREFIX
	command=(/etc/warren/certificate.sh "$@")
}
