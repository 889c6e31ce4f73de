# shellcheck shell=bash
# How each container of the stack is run, and how it is renewed without losing anything.
# Sourced after settings.sh and ops/lib.sh, never run.
#
# A describe_* function says what a container should be, in these variables. What it should be is hashed into
# the label warren.spec, so that a container which is that already is left alone.

# Docker's DNS passes a name that it does not know on to the machine's servers, which an internal network cannot reach:
# looking up a container that is stopped takes 10 to 20 s then. With ndots above 0 Docker does not pass on names without
# a dot, such as those of containers, and says at once that it does not know them.
dns=(--dns-opt ndots:1 --dns-opt timeout:1 --dns-opt attempts:1)

role=           # what it is in the stack: the label warren.role
image=          # what it runs
arguments=()    # of `docker create`
command=()      # empty: the image's own
config_files=() # mounted files that are read once, at the start
only_for=()     # not empty: only a change of this, or of those files, makes a new container
second_network= # joined before the start, besides the one in the arguments

TOOLS=(flower prometheus rabbitmq_ui) # roles of the tools that are off until they are started: ops/tools.sh

# --- what each container is ----------------------------------------------------------------------

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

# newest_user ROLE: RabbitMQ's user for this role. After each renewal of its password that is another one, publisher_2
# in place of publisher: so both may log in until nobody needs the earlier one (see ops/rotate_secrets.sh).
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
	local memory
	memory=$(numfmt --from=iec "${RABBITMQ_MEMORY^^}")
	describe rabbitmq rabbitmq "$RABBITMQ_MEMORY" "$NETWORK"
	arguments+=(
		# The data belongs to the node rabbit@HOSTNAME, so the name must stay.
		--hostname "$RABBITMQ_CONTAINER"
		--volume "$RABBITMQ_VOLUME:/var/lib/rabbitmq"
		--env "RABBITMQ_WATERMARK=$((memory * 6 / 10))"
	)
	secret rabbitmq_definitions.json rabbitmq_definitions.json
	config_files=() # not only at the start: see teach_rabbitmq
}

# It only brings the ledger's schema up to date, with the address that is going to be everybody's (see migrate).
describe_migrate() {
	describe migrate flask "$FLASK_MEMORY" "$NETWORK"
	arguments+=(--volume "$DB_DIR:/db" --restart no)
	secret database_url.new database_url
	command=(python -m jobs.commands.migrate)
}

# pass_notices: say where notices go, if anywhere. Who sees a job fail notes it for them.
pass_notices() {
	local channels=''
	if [[ -s $SECRETS_DIR/notify_url ]]; then channels=webhook; fi
	if [[ -s $SECRETS_DIR/notify_mail ]]; then channels+=${channels:+,}mail; fi
	if [[ -n $channels ]]; then arguments+=(--env "NOTICES=$channels" --env "STACK=$PREFIX"); fi
}

# describe_backup FOLDER: it makes backup.tar.gz in that folder.
describe_backup() {
	describe_copying backup
	arguments+=(
		--volume "$EXPORTS_DIR:/exports:ro"
		--mount "type=bind,source=$SECRETS_DIR,target=/secrets,readonly"
		--mount "type=bind,source=$1,target=/backup"
	)
	secret database_url database_url
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
	pass DATABASE_URL MAX_DELIVERIES
	command=(python -m jobs.commands.restore "$@")
}

# describe_copying ROLE: no network, no hurry, and SIGTERM ends it at once.
describe_copying() {
	describe "$1" flask "$FLASK_MEMORY" none
	arguments+=(--init --restart no --no-healthcheck --cpu-shares "$CELERY_CPU_SHARES" --volume "$DB_DIR:/db")
}

# What the three Python containers share: the ledger, the broker, their settings.
describe_python() {
	describe "$@"
	arguments+=(--volume "$DB_DIR:/db" --env "BROKER_HOST=$RABBITMQ_CONTAINER")
	secret database_url database_url
	pass BACKLOG_LIMIT MAX_DELIVERIES WORKER_LEASE RESULT_EXPIRES EXPORT_EXPIRES AUDIT_EXPIRES STOP_TIMEOUT
}

describe_flask() {
	describe_python flask flask "$FLASK_MEMORY" "$NETWORK"
	second_network=$FRONT_NETWORK
	arguments+=(--volume "$EXPORTS_DIR:/exports:ro")
	pass WEB_PROCESSES WEB_THREADS WEB_STREAMS AUTH
	if [[ $AUTH == on ]]; then
		pass SESSION_LIFETIME STREAMS_PER_PERSON
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
	arguments+=(
		--volume "$EXPORTS_DIR:/exports"
		# Whoever waits for an answer goes before the jobs. Idle processors are theirs all the same.
		--cpu-shares "$CELERY_CPU_SHARES"
		--label "warren.queues=$2" --label "warren.concurrency=$3"
		# A name that stands for all workers: whoever looks it up gets the addresses of those that run.
		--network-alias "${PREFIX}_workers"
		--env "WORKER_NAME=$1"
		--env "CELERY_QUEUES=$2" --env "CELERY_CONCURRENCY=$3"
	)
	pass CELERY_PREFETCH RETIRE_TIMEOUT
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
		--health-cmd 'timeout 3 /etc/warren/port.py borrow true' --health-interval 5s
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

# --- making and renewing -------------------------------------------------------------------------

# only_one_at_a_time: a second script, from whatever folder, would renew, name or remove what this one is just making.
only_one_at_a_time() {
	if take_lock; then return; fi
	# An autoscaler has it for some seconds at a time, while it adds workers: that is worth waiting for.
	if is_taken autoscaler && flock --timeout "$HEALTH_TIMEOUT" "$lock"; then return; fi
	die "another script is at work on the stack $PREFIX" 'Wait until it is done, then run this again.'
}

# is_taken NAME: has some process this lock of the stack?
is_taken() { ! (take_lock "$1"); }

# take_lock [NAME]: hold the lock of the stack, or another one of it, until $lock is closed; fail if somebody has it.
take_lock() {
	local file=/tmp/warren_$PREFIX${1:+.$1}.lock
	# Opened for reading only, so that one user's file serves another user as well.
	if [[ ! -e $file ]]; then (umask 022 && : >"$file"); fi
	exec {lock}<"$file"
	flock --nonblock "$lock"
}

# The described container in a few characters.
spec() {
	{
		if [[ ${#only_for[@]} -gt 0 ]]; then
			printf '%s\0' "${only_for[@]}"
		else
			docker image inspect --format '{{.Id}}' "$image"
			printf '%s\0' "${arguments[@]}" "${command[@]}" "$second_network"
		fi
		if [[ ${#config_files[@]} -gt 0 ]]; then cat -- "${config_files[@]}"; fi
	} | sha256sum | cut -c 1-16
}

# create NAME: the described container, not started yet.
create() {
	docker create --name "$1" --label "warren.spec=$(spec)" "${arguments[@]}" "$image" "${command[@]}" >/dev/null
	if [[ -n $second_network ]]; then docker network connect "$second_network" "$1"; fi
}

# remove NAME: stop it, letting it finish what it does, and remove it; nothing if it is not there.
remove() {
	if container_exists "$1"; then
		docker stop "$1" >/dev/null
		docker rm "$1" >/dev/null
	fi
}

# up_to_date NAME: is this container what is described?
up_to_date() { [[ $(label "$1" warren.spec) == "$(spec)" ]]; }

# renew NAME: replace the container if it is not as described, and wait until it is healthy. The old one stops before
# the new one starts, for the two would share a volume or a name at the broker; meanwhile the work waits in the ledger
# and in the queues. If the new one fails, the old one takes its place again:
#   NAME_new is made -> NAME becomes NAME_old and stops -> NAME_new becomes NAME, starts, is healthy -> NAME_old goes
renew() {
	local name=$1
	mend "$name"
	# shellcheck disable=SC2064  # the name of now
	trap "put_back '$name'" EXIT
	if ! up_to_date "$name"; then
		create "${name}_new"
		if container_exists "${name}_old"; then
			remove "$name" # an interrupted run has made it, and nobody has seen it healthy
		elif container_exists "$name"; then
			docker rename "$name" "${name}_old"
			docker stop "${name}_old" >/dev/null
		fi
		docker rename "${name}_new" "$name"
	fi
	docker start "$name" >/dev/null
	wait_healthy "$name"
	trap - EXIT
	remove "${name}_old"
}

# put_back NAME: after a renewal that has failed.
put_back() {
	if container_exists "$1_old"; then
		remove "$1"
		docker rename "$1_old" "$1"
		docker start "$1" >/dev/null
		printf 'The earlier %s was started again.\n' "$1"
	fi
	remove "$1_new"
}

# renew_beside NAME: replace the Flask or the Nginx container without a gap. Both can work beside their successor:
#   NAME_new is made -> healthy -> NAME becomes NAME_old, NAME_new becomes NAME -> NAME_old ends what it has begun
# Two Nginx share the published port (see nginx/port.py). Nginx asks for Flask by its name, so for Flask it is the name
# that changes hands, and Nginx reloads.
renew_beside() {
	local name=$1
	mend_beside "$name"
	if ! container_running "$name"; then
		renew "$name"
	elif ! up_to_date "$name"; then
		# shellcheck disable=SC2064  # the name of now
		trap "remove '${name}_new'; echo 'The earlier $name goes on.'" EXIT
		create "${name}_new"
		docker start "${name}_new" >/dev/null
		wait_healthy "${name}_new"
		trap - EXIT
		tell_nginx drain
		docker rename "$name" "${name}_old"
		docker rename "${name}_new" "$name"
		retire_old "$name"
	fi
}

# retire_old NAME: let NAME_old go, once it gets no new requests.
retire_old() {
	if [[ $1 == "$FLASK_CONTAINER" ]]; then tell_nginx replace; fi
	remove "$1_old"
}

# mend NAME: wherever an earlier run was interrupted, there is a container of this name again.
mend() {
	if ! container_exists "$1" && container_exists "$1_old"; then docker rename "$1_old" "$1"; fi
	remove "$1_new"
}

# mend_beside NAME: the same for those whose successor is healthy before it gets the name.
mend_beside() {
	mend "$1"
	if container_exists "$1_old"; then retire_old "$1"; fi
}

# tell_nginx COMMAND: one of nginx/control.sh; if there is an Nginx yet.
tell_nginx() {
	if container_running "$NGINX_CONTAINER"; then docker exec "$NGINX_CONTAINER" /etc/warren/control.sh "$1"; fi
}

# teach_rabbitmq: let the running broker know the definitions on standard input. So no change of them needs a restart.
teach_rabbitmq() { docker exec --interactive "$RABBITMQ_CONTAINER" learn_definitions; }

start_flask() {
	describe_flask
	renew_beside "$FLASK_CONTAINER"
}

start_beat() {
	describe_beat
	renew "$BEAT_CONTAINER"
}

# workers: what should run, one per line: name, queues, concurrency. The first worker comes from the settings;
# those added by launch_celery_worker.sh keep what they were started with.
workers() {
	local name
	printf '%s %s %s\n' "$CELERY_CONTAINER" "$CELERY_QUEUES" "$CELERY_CONCURRENCY"
	added_workers | while read -r name; do
		mend "$name"
		if container_exists "$name"; then
			printf '%s %s %s\n' "$name" "$(label "$name" warren.queues)" "$(label "$name" warren.concurrency)"
		fi
	done
}

# added_workers: the names of those that launch_celery_worker.sh or the autoscaler has added, running or not.
added_workers() {
	local name
	containers_of worker | sed 's/_\(new\|old\)$//' | sort --unique --version-sort | while read -r name; do
		if [[ $name != "$CELERY_CONTAINER" ]]; then printf '%s\n' "$name"; fi
	done
}

# start_worker NAME QUEUES CONCURRENCY
start_worker() {
	describe_worker "$@"
	renew "$1"
}

# --- removing ------------------------------------------------------------------------------------

# remove_containers: the way in first, then those who do the work, and what they all use last.
remove_containers() {
	remove_role nginx
	remove_role port
	remove_role "${TOOLS[@]}"
	rm -f "$SECRETS_DIR"/tools/*
	remove_role flask
	remove_role worker beat
	remove_role rabbitmq
	remove_role migrate backup restore openssl
}

# remove_role ROLE...: all containers of these roles at once; `docker stop` with many names does not wait for each.
remove_role() {
	local role names=()
	for role in "$@"; do
		mapfile -t -O ${#names[@]} names < <(containers_of "$role")
	done
	if [[ ${#names[@]} -gt 0 ]]; then step "${names[*]}" stop_and_remove "${names[@]}"; fi
}

stop_and_remove() {
	docker stop "$@"
	docker rm "$@"
}

remove_networks() {
	local names
	mapfile -t names < <(networks_of)
	if [[ ${#names[@]} -gt 0 ]]; then step "${names[*]}" docker network rm "${names[@]}"; fi
}

# --- waiting -------------------------------------------------------------------------------------

# wait_healthy NAME: until its healthcheck passes. A container that ends, again and again, is given up at once.
wait_healthy() {
	local running health restarts restarts_before='' deadline=$((SECONDS + HEALTH_TIMEOUT))
	while ((SECONDS < deadline)); do
		read -r running health restarts < <(docker container inspect --format \
			'{{.State.Running}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.RestartCount}}' "$1") || break
		if [[ $health == healthy && $running == true ]]; then return; fi
		if ((restarts >= ${restarts_before:=$restarts} + 3)); then break; fi
		sleep 0.3
	done
	docker logs --tail 15 "$1" 2>&1
	die "$1 is not healthy after $((HEALTH_TIMEOUT - deadline + SECONDS)) s: $(how_it_is "$1")" \
		"Its last lines are above."
}

# how_it_is NAME: its state in a few words.
how_it_is() {
	docker container inspect --format '{{.State.Status}}, last exit code {{.State.ExitCode -}}
		{{if .State.OOMKilled}}, out of memory{{end -}}
		{{if .RestartCount}}, started again {{.RestartCount}} times{{end -}}
		{{$said := ""}}{{with .State.Health}}{{range .Log}}{{$said = .Output}}{{end}}{{end -}}
		{{if $said}}, its healthcheck says: {{$said}}{{end}}' "$1"
}
