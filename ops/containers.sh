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
second_network= # joined before the start, besides the one in the arguments

# --- what each container is ----------------------------------------------------------------------

# describe ROLE IMAGE MEMORY NETWORK: what all have in common.
describe() {
	role=$1 image=${PREFIX}_$2 command=() config_files=() second_network=
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
}

# It only brings the ledger's schema up to date, with the address that is going to be everybody's (see migrate).
describe_migrate() {
	describe migrate flask "$FLASK_MEMORY" "$NETWORK"
	arguments+=(--volume "$DB_DIR:/db" --restart no)
	secret database_url.new database_url
	command=(python -m jobs.commands.migrate)
}

# What the three Python containers share: the ledger, the broker, their settings.
describe_python() {
	describe "$@"
	arguments+=(--volume "$DB_DIR:/db" --env "BROKER_HOST=$RABBITMQ_CONTAINER")
	secret database_url database_url
	pass BACKLOG_LIMIT MAX_DELIVERIES WORKER_LEASE RESULT_EXPIRES EXPORT_EXPIRES STOP_TIMEOUT
}

describe_flask() {
	describe_python flask flask "$FLASK_MEMORY" "$NETWORK"
	second_network=$FRONT_NETWORK
	arguments+=(--volume "$EXPORTS_DIR:/exports:ro" --env BROKER_USER=publisher)
	pass WEB_PROCESSES WEB_THREADS WEB_STREAMS
	secret publisher_password broker_password
	secret monitor_password monitor_password
}

describe_beat() {
	describe_python beat celery "$BEAT_MEMORY" "$NETWORK"
	arguments+=(--volume "$EXPORTS_DIR:/exports" --env BROKER_USER=publisher)
	secret publisher_password broker_password
	secret monitor_password monitor_password
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
		--env BROKER_USER=worker --env "WORKER_NAME=$1"
		--env "CELERY_QUEUES=$2" --env "CELERY_CONCURRENCY=$3"
	)
	pass CELERY_PREFETCH
	secret worker_password broker_password
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

describe_nginx() {
	describe nginx nginx "$NGINX_MEMORY" "$FRONT_NETWORK"
	arguments+=(
		--publish "$BIND_ADDRESS:$PORT:8080"
		--env "FLASK_CONTAINER=$FLASK_CONTAINER"
		--mount "type=bind,source=$WARREN_DIR/nginx,target=/etc/warren,readonly"
		--mount "type=bind,source=$WARREN_DIR/document_root,target=/usr/share/warren,readonly"
		--mount "type=bind,source=$WARREN_DIR/docs,target=/usr/share/warren_docs,readonly"
		--volume "$EXPORTS_DIR:/exports:ro"
	)
}

# --- making and renewing -------------------------------------------------------------------------

# only_one_at_a_time: a second script, from whatever folder, would renew, name or remove what this one is just making.
only_one_at_a_time() {
	local file=/tmp/warren_$PREFIX.lock
	# Opened for reading only, so that one user's file serves another user as well.
	if [[ ! -e $file ]]; then (umask 022 && : >"$file"); fi
	exec {lock}<"$file"
	flock --nonblock "$lock" || die "another script is at work on the stack $PREFIX" 'Wait until it is done, then run this again.'
}

# The described container in a few characters.
spec() {
	{
		docker image inspect --format '{{.Id}}' "$image"
		printf '%s\0' "${arguments[@]}" "${command[@]}" "$second_network"
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

# renew NAME: replace the container if it is not as described; the new one is ready to start before the old
# one stops. Meanwhile its work waits in the ledger and in the queues.
renew() {
	remove "$1_new" # left by a run that was interrupted
	if ! up_to_date "$1"; then
		create "$1_new"
		remove "$1"
		docker rename "$1_new" "$1"
	fi
	docker start "$1" >/dev/null
}

# renew_flask: the new one takes over from the old one, so that no request finds nobody. Nginx asks for the
# name, so the name is what changes hands, once the new container is healthy:
#   NAME_new is made -> healthy -> NAME becomes NAME_old, NAME_new becomes NAME -> Nginx reloads -> NAME_old stops
renew_flask() {
	local name=$FLASK_CONTAINER
	mend_flask
	if ! container_running "$name"; then
		renew "$name"
		wait_healthy "$name"
	elif ! up_to_date "$name"; then
		# shellcheck disable=SC2064  # the name of now
		trap "remove '${name}_new'" EXIT
		create "${name}_new"
		docker start "${name}_new" >/dev/null
		wait_healthy "${name}_new"
		trap - EXIT
		tell_nginx drain
		docker rename "$name" "${name}_old"
		docker rename "${name}_new" "$name"
		tell_nginx replace
		remove "${name}_old"
	fi
}

# Wherever an earlier run was interrupted, there is one Flask container again, under its name.
mend_flask() {
	local name=$FLASK_CONTAINER
	if ! container_exists "$name" && container_exists "${name}_old"; then docker rename "${name}_old" "$name"; fi
	remove "${name}_new"
	if container_exists "${name}_old"; then
		tell_nginx replace
		remove "${name}_old"
	fi
}

# tell_nginx COMMAND: one of nginx/control.sh; if there is an Nginx yet.
tell_nginx() {
	if container_running "$NGINX_CONTAINER"; then docker exec "$NGINX_CONTAINER" /etc/warren/control.sh "$1"; fi
}

# workers: what should run, one per line: name, queues, concurrency. The first worker comes from the settings;
# those added by launch_celery_worker.sh keep what they were started with.
workers() {
	local name
	printf '%s %s %s\n' "$CELERY_CONTAINER" "$CELERY_QUEUES" "$CELERY_CONCURRENCY"
	containers_of worker | while read -r name; do
		if [[ $name != "$CELERY_CONTAINER" && $name != *_new ]]; then
			printf '%s %s %s\n' "$name" "$(label "$name" warren.queues)" "$(label "$name" warren.concurrency)"
		fi
	done
}

# start_worker NAME QUEUES CONCURRENCY
start_worker() {
	describe_worker "$@"
	renew "$1"
	wait_healthy "$1"
}

# --- removing ------------------------------------------------------------------------------------

# remove_containers: the way in first, then those who do the work, and what they all use last.
remove_containers() {
	remove_role nginx
	remove_role flask
	remove_role worker beat
	remove_role rabbitmq
	remove_role migrate
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
	docker logs --tail 20 "$1" 2>&1
	die "$1 is not healthy after $((HEALTH_TIMEOUT - deadline + SECONDS)) s" \
		"Its last lines are above."
}
