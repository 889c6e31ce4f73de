# shellcheck shell=bash
# How the containers of the stack are made, renewed without losing anything, and removed.
# Sourced after settings.sh and ops/lib.sh, never run.

# shellcheck source=ops/descriptions.sh
source "$WARREN_DIR/ops/descriptions.sh"

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

# run_once NAME [--interactive]: the described container, from its start to its end. Not `docker run --rm`: so it can be in
# two networks, and ./stop.sh, which removes all containers, can do it with this one, too.
run_once() {
	local status=0
	docker rm --force "$1" >/dev/null 2>&1 || true # of a run that was killed
	create "$1"
	docker start --attach "${@:2}" "$1" || status=$?
	docker rm "$1" >/dev/null
	return "$status"
}

# rename OLD NEW: Docker refuses it while the container is just ending or starting, as an Nginx does by itself when its
# port has a new owner. So it is tried for some seconds.
rename() {
	local tries
	for ((tries = 0; tries < 20; tries++)); do
		# With the 0: called from a trap, a bare return has the status from before the trap.
		if docker rename "$1" "$2" 2>/dev/null; then return 0; fi
		sleep 0.2
	done
	docker rename "$1" "$2"
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
#   NAME_new is made -> NAME stops and becomes NAME_old -> NAME_new becomes NAME, starts, is healthy -> NAME_old goes
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
			docker stop "$name" >/dev/null # first: while one ends again and again, Docker does not rename it
			rename "$name" "${name}_old"
		fi
		rename "${name}_new" "$name"
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
		rename "$1_old" "$1"
		docker start "$1" >/dev/null
		printf 'The earlier %s was started again.\n' "$1"
	elif container_exists "$1"; then
		docker start "$1" >/dev/null || true
	fi
	remove "$1_new"
}

# renew_nginx: replace it without a gap: two Nginx share the published port (see nginx/port.py).
#   NAME_new is made -> healthy -> NAME becomes NAME_old, NAME_new becomes NAME -> NAME_old ends what it has begun
renew_nginx() {
	local name=$NGINX_CONTAINER
	mend_nginx
	if ! container_running "$name"; then
		renew "$name"
	elif ! up_to_date "$name"; then
		make_good_one "$name" "${name}_new"
		tell_nginx drain
		rename "$name" "${name}_old"
		rename "${name}_new" "$name"
		remove "${name}_old"
	fi
}

# make_good_one NAME OTHER: start the container described as OTHER, beside NAME. If it is not healthy, it goes.
make_good_one() {
	# shellcheck disable=SC2064  # the names of now
	trap "remove '$2'; echo 'The earlier $1 goes on.'" EXIT
	create "$2"
	docker start "$2" >/dev/null
	wait_healthy "$2"
	trap - EXIT
}

# renew_flask: replace it without a gap: another one stands in, and Nginx asks that one meanwhile. It is not the other one that
# stays, for Docker cannot give a running container of an overlay network another name.
renew_flask() {
	local name=$FLASK_CONTAINER stand_in=${FLASK_CONTAINER}_stand_in
	if container_running "$name"; then remove_stand_in; fi # of a run that was interrupted
	if container_running "$name" && ! up_to_date "$name"; then
		make_good_one "$name" "$stand_in"
		ask_flask "$stand_in"
	fi
	renew "$name"
	remove_stand_in
	tell_nginx check || true # it may have another address now; Nginx looks by itself, too, after some seconds
}

# remove_stand_in: once Nginx asks FLASK_CONTAINER itself again.
remove_stand_in() {
	if container_exists "${FLASK_CONTAINER}_stand_in"; then
		ask_flask "$FLASK_CONTAINER"
		remove "${FLASK_CONTAINER}_stand_in"
	fi
}

# ask_flask NAME: let Nginx ask this one from now on.
ask_flask() {
	tell_nginx drain
	tell_nginx replace "$1"
}

# mend NAME: wherever an earlier run was interrupted, there is a container of this name again.
mend() {
	if ! container_exists "$1" && container_exists "$1_old"; then rename "$1_old" "$1"; fi
	remove "$1_new"
}

# mend_nginx: the same for Nginx, whose successor is healthy before it gets the name.
mend_nginx() {
	mend "$NGINX_CONTAINER"
	remove "${NGINX_CONTAINER}_old"
}

# tell_nginx COMMAND...: one of nginx/control.sh; if there is an Nginx that runs. An Nginx whose port has a new owner ends by
# itself and starts again (see check there), perhaps just now: then it is told again. One that ends again and again asks
# nobody anything.
tell_nginx() {
	local tries life
	for ((tries = 0; tries < 10; tries++)); do
		life=$(life_of "$NGINX_CONTAINER")
		case $life in
		running*)
			if docker exec "$NGINX_CONTAINER" /etc/warren/control.sh "$@"; then return; fi
			if [[ $(life_of "$NGINX_CONTAINER") == "$life" ]]; then return 1; fi
			;;
		restarting*) sleep 1 ;;
		*) return 0 ;;
		esac
	done
}

# life_of NAME: its state, and when it was started for the last time.
life_of() { docker container inspect --format '{{.State.Status}} {{.State.StartedAt}}' "$1" 2>/dev/null || true; }

# teach_rabbitmq: let the running broker know the definitions on standard input. So no change of them needs a restart.
teach_rabbitmq() { docker exec --interactive "$RABBITMQ_CONTAINER" learn_definitions; }

start_etcd() {
	describe_etcd
	renew "$ETCD_CONTAINER"
}

start_postgres() {
	local user
	describe_postgres
	renew "$POSTGRES_CONTAINER"
	user=$(newest_user ledger)
	if [[ -n $NODE ]]; then wait_for_place "$user"; fi
	# What the one that leads has learned, the others know.
	if [[ -n $NODE ]] && ! leads; then return; fi
	teach_postgres "$user" "$(<"$SECRETS_DIR/${user}_password")"
}

# wait_for_place USER: until this PostgreSQL leads and another one follows it, or it follows and has this user.
wait_for_place() {
	wait_for "$HEALTH_TIMEOUT" "a place for $POSTGRES_CONTAINER among the three" docker exec "$POSTGRES_CONTAINER" has_place "$1"
}

# leads: is it this PostgreSQL that can be changed?
leads() { [[ $(docker exec "$POSTGRES_CONTAINER" psql --tuples-only --no-align --command 'SELECT pg_is_in_recovery()') == f ]]; }

# teach_postgres USER PASSWORD: let the running PostgreSQL know this user of the ledger. May be said again.
teach_postgres() { docker exec --interactive "$POSTGRES_CONTAINER" know_user <<<"$1 $2"; }

start_flask() {
	describe_flask
	renew_flask
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
	remove_role migrate backup restore move probe openssl
	remove_role postgres
	remove_role etcd
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

# make_network NAME ARGUMENT...
make_network() {
	local name=$1 labels=("${STACK_LABELS[@]}")
	shift
	# All machines see an overlay, and the folder may have another name on each.
	if [[ " $* " == *' overlay '* ]]; then labels=(--label "warren.stack=$PREFIX"); fi
	if ! docker network inspect "$name" >/dev/null 2>&1; then
		docker network create "${labels[@]}" "$@" "$name"
	fi
}

# remove_networks: but an overlay stays if it is to be used again, for workers on other machines are in it.
remove_networks() {
	local names
	mapfile -t names < <(networks_of | if [[ -n $CLUSTER_ADDRESS ]]; then grep --invert-match --line-regexp --fixed-strings --regexp "$NETWORK" --regexp "$KEEPER_NETWORK"; else cat; fi)
	if [[ ${#names[@]} -gt 0 ]]; then step "${names[*]}" docker network rm "${names[@]}"; fi
}

# --- waiting -------------------------------------------------------------------------------------

# wait_healthy NAME: until its healthcheck passes. A container that ends, again and again, is given up at once.
wait_healthy() {
	local running restarts restarts_before='' check deadline=$((SECONDS + HEALTH_TIMEOUT))
	mapfile -t check < <(docker container inspect --format '{{join .Config.Healthcheck.Test "\n"}}' "$1")
	if [[ ${check[0]} == CMD-SHELL ]]; then check=(sh -c "${check[1]}"); else check=("${check[@]:1}"); fi
	while ((SECONDS < deadline)); do
		read -r running restarts < <(docker container inspect --format '{{.State.Running}} {{.RestartCount}}' "$1") || break
		# Docker would look for the first time only after an interval. And in one `docker exec`, for each costs more than the
		# check: it ends when the check passes, with the container, or in time.
		if [[ $running == true ]] && docker exec "$1" timeout $((deadline - SECONDS)) \
			sh -c 'until "$@"; do sleep 0.1; done' until "${check[@]}" >/dev/null 2>&1; then return; fi
		if ((restarts >= ${restarts_before:=$restarts} + 3)); then break; fi
		sleep 0.2
	done
	docker logs --tail 15 "$1" 2>&1
	die "$1 is not healthy after $((HEALTH_TIMEOUT - deadline + SECONDS)) s: $(how_it_is "$1")" \
		"Its last lines are above."
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	while ! "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || die "there is no $what" "Asked for by: $*"
		sleep 0.5
	done
}

# how_it_is NAME: its state in a few words.
how_it_is() {
	docker container inspect --format '{{.State.Status}}, last exit code {{.State.ExitCode -}}
		{{if .State.OOMKilled}}, out of memory{{end -}}
		{{if .RestartCount}}, started again {{.RestartCount}} times{{end -}}
		{{$said := ""}}{{with .State.Health}}{{range .Log}}{{$said = .Output}}{{end}}{{end -}}
		{{if $said}}, its healthcheck says: {{$said}}{{end}}' "$1"
}
