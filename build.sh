#!/usr/bin/env bash
# Build the images, create the networks, start or renew every container; safe to run again at any time.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/ownership.sh
source "$WARREN_DIR/ops/ownership.sh"
# shellcheck source=ops/preflight.sh
source "$WARREN_DIR/ops/preflight.sh"
# shellcheck source=ops/install.sh
source "$WARREN_DIR/ops/install.sh"
# shellcheck source=ops/images.sh
source "$WARREN_DIR/ops/images.sh"
# shellcheck source=ops/supply.sh
source "$WARREN_DIR/ops/supply.sh"
# shellcheck source=ops/containers.sh
source "$WARREN_DIR/ops/containers.sh"
# shellcheck source=ops/secrets.sh
source "$WARREN_DIR/ops/secrets.sh"
# shellcheck source=ops/tools.sh
source "$WARREN_DIR/ops/tools.sh"
# shellcheck source=ops/tls.sh
source "$WARREN_DIR/ops/tls.sh"
# shellcheck source=ops/cluster.sh
source "$WARREN_DIR/ops/cluster.sh"
# shellcheck source=ops/nodes.sh
source "$WARREN_DIR/ops/nodes.sh"

usage() {
	cat <<-HELP
		Usage: ./build.sh [--install] [--refresh] [--take-over]
		                  [--cluster ADDRESS|--cluster ADDRESS,ADDRESS,ADDRESS --node N|--no-cluster]

		Builds the images, creates networks, volume and secrets, starts the containers in order, waits until
		each is healthy and runs one job through all of them. Run it again after any change: it renews what
		changed, drops no request and no job, and leaves everything else alone.

		  --install    first install Docker and what else is missing (Debian or Ubuntu, as root)
		  --refresh    ask Debian for updates of what is in the images, and build anew those that lack some
		  --take-over  replace a stack of the same name that another folder of the project has built. Its containers,
		               networks and broker data are removed; its ledger and its secrets stay where they are
		  --cluster ADDRESS  let workers on other machines join, who reach this one at ADDRESS. Needs PostgreSQL. Once said, it
		               stays so. Where the network changes, requests are answered 503 for some seconds; no job is lost
		  --cluster ADDRESS,ADDRESS,ADDRESS --node N  be number N of three machines, any one of which may die. To be said on each of
		               them, on number 1 first. Each has all parts of the stack, and clients may ask any of them
		  --no-cluster be a stack of one machine again

		Settings come from settings.sh; each can be given for one run: PORT=8010 ./build.sh
	HELP
}

main() {
	help_if_asked "$@"
	local install=false refresh=false sboms refused='' number='' before=$CLUSTER_ADDRESS
	take_over=false
	while (($#)); do
		case $1 in
		--install) install=true ;;
		--refresh) refresh=true ;;
		--take-over) take_over=true ;;
		--cluster)
			CLUSTER_ADDRESS=${2:-nothing}
			shift $(($# > 1))
			;;
		--node)
			number=${2:-nothing}
			shift $(($# > 1))
			;;
		--no-cluster) CLUSTER_ADDRESS='' CLUSTER_ENCRYPTION=on ;;
		*) die "unknown argument: $1" 'See: ./build.sh --help' ;;
		esac
		shift
	done
	if [[ $install == true ]]; then install_and_start_docker; fi
	if [[ -n $number || $CLUSTER_ADDRESS == *,* ]]; then
		choose_node "$CLUSTER_ADDRESS" "${number:-nothing}"
	elif [[ $CLUSTER_ADDRESS != "$before" ]]; then
		refuse_on_three 'three machines stay three'
	fi
	preflight
	if [[ $take_over == false ]]; then check_home; fi
	trap 'stop_steps; exit 130' INT TERM
	trap wait EXIT # after a failure, for the steps beside it
	started=$(now_ms)

	if [[ $refresh == true ]]; then look_for_updates; fi
	step "base image $BASE" provide_base
	check_file_system "$(file_system_inside "$DB_DIR")" "$DB_DIR"
	build_images
	only_one_at_a_time
	if [[ -n $CLUSTER_ADDRESS ]]; then step "Swarm at $CLUSTER_ADDRESS" make_swarm; fi
	if docker network inspect "$NETWORK" >/dev/null 2>&1 && ! inner_network_fits; then
		step 'workers and beat end, and put back what they cannot end' stop_role worker beat
		refused=$(now_ms)
		step 'the inner network changes: all that is in it stops' take_inner_network_away
	fi
	step 'networks, volumes, secrets' make_surroundings
	if [[ $TLS == on ]]; then step 'certificate' bring_certificate; fi
	if [[ -n $NODE ]]; then
		if [[ $NODE == 1 ]]; then await_nodes 2 3; fi
		step "$ETCD_CONTAINER" start_etcd
	fi
	if own_postgres; then step "$POSTGRES_CONTAINER" start_postgres; fi
	step 'schema of the ledger' migrate
	if [[ $take_over == true ]]; then replace_other_home; fi
	step 'what the images are made of' "$WARREN_DIR/ops/sbom.sh" & # while containers start, processors are idle
	sboms=$!
	start_containers
	# What this run has replaced; the layers that are still in use stay.
	# While another stack's build does the same, Docker refuses: then they go with the next build.
	docker image prune --force --filter "label=warren.stack=$PREFIX" >/dev/null 2>&1 || true
	choose_smoke_job
	smoke_began=$(now_ms)
	step "smoke check: one $smoke_kind job through Nginx, Flask, RabbitMQ and Celery" smoke_check
	if [[ -n $refused ]]; then printf 'Requests were answered 503 for %d s at most.\n' $(((smoke_began - refused) / 1000 + 1)); fi
	wait "$sboms" || die 'the stack runs, but what its images are made of could not be written' \
		'The lines above say why. To try again: ops/sbom.sh'
	say_goodbye
	let_first_in
}

# Ctrl-C reaches steps in the background only through this.
stop_steps() { jobs -p | xargs --no-run-if-empty kill 2>/dev/null || true; }

# --- images --------------------------------------------------------------------------------------

# look_for_updates: which images lack an update of Debian, in `outdated`. Only these are built anew, and what stands on
# them follows by itself.
look_for_updates() {
	local image found images=()
	for image in "$BASE" "${PREFIX}_"{python,nginx,rabbitmq,postgres,patroni,etcd,prometheus}; do
		if image_exists "$image"; then images+=("$image"); fi
	done
	if [[ ${#images[@]} -eq 0 ]]; then return; fi
	found=$(mktemp)
	step 'updates of Debian: asking for them' write_updates "$found" "${images[@]}"
	mapfile -t outdated < <(cut --delimiter ' ' --fields 1 "$found" | sort --unique)
	awk '{ printf "           %s: %s %s -> %s\n", $1, $2, $3, $4 }' "$found"
	if [[ ${#outdated[@]} -eq 0 ]]; then echo '           nothing is newer than what the images have'; fi
	rm "$found"
}

# write_updates FILE IMAGE...
write_updates() {
	debian_updates "${@:2}" >"$1" || die 'Debian could not be asked for updates' \
		'The lines above say why. Nothing was changed. Without --refresh, ./build.sh needs no answer.'
}

provide_base() {
	if [[ " ${outdated[*]} " == *" $BASE "* ]]; then set -- --refresh; fi
	"$WARREN_DIR/ops/base_image.sh" "$@"
}

# Two at a time: what Flask and Celery share comes before them, and RabbitMQ is mostly unpacking.
build_images() {
	local python tool
	{
		step "image ${PREFIX}_python" build_python
		step "image ${PREFIX}_flask" build_image flask
		step "image ${PREFIX}_celery" build_image celery
	} &
	python=$!
	{
		step "image ${PREFIX}_rabbitmq" build_image rabbitmq
		step "image ${PREFIX}_nginx" build_image nginx
		if own_postgres; then step "image ${PREFIX}_postgres" build_image postgres; fi
		if [[ -n $NODE ]]; then
			step "image ${PREFIX}_patroni" build_image patroni
			step "image ${PREFIX}_etcd" build_image etcd
		fi
	} &
	all_of "$python" $!
	for tool in $(started_tools); do build_tool "$tool"; done
}

# --- what the containers stand on ----------------------------------------------------------------

make_surroundings() {
	make_networks_and_volumes
	claim "$SECRETS_DIR"
	claim "$DB_DIR"
	claim "$EXPORTS_DIR"
	make_secrets
	remember_cluster
	shopt -s nullglob # there may be no files yet
	if [[ $DB_DIR == */* ]]; then give_to_containers "$DB_DIR" "$DB_DIR"/backend.db*; fi
	if [[ $EXPORTS_DIR == */* ]]; then give_to_containers "$EXPORTS_DIR" "$EXPORTS_DIR"/*.csv; fi
}

make_networks_and_volumes() {
	make_inner_networks
	make_network "$FRONT_NETWORK"
	docker volume create "${STACK_LABELS[@]}" "$RABBITMQ_VOLUME"
	docker volume create "${STACK_LABELS[@]}" "$PORT_VOLUME"
	if own_postgres; then claim "$POSTGRES_VOLUME"; fi
	if [[ -n $NODE ]]; then docker volume create "${STACK_LABELS[@]}" "$ETCD_VOLUME"; fi
}

# replace_other_home: remove what another folder of the project has made under this name. Its jobs are in its ledger,
# which stays; messages about them would only confuse the workers from here, so the broker's volume goes.
replace_other_home() {
	local home
	home=$(other_home)
	if [[ -z $home ]]; then return; fi
	printf 'Taking the stack %s over from %s\n' "$PREFIX" "$home"
	remove_containers
	remove_networks
	step "volumes $RABBITMQ_VOLUME $PORT_VOLUME" docker volume rm --force "$RABBITMQ_VOLUME" "$PORT_VOLUME"
	step 'networks and volumes, anew' make_networks_and_volumes
	if own_postgres; then step "$POSTGRES_CONTAINER" start_postgres; fi
}

# --- containers, in order ------------------------------------------------------------------------

start_containers() {
	local name queues concurrency pids=()
	mend_nginx
	step "$RABBITMQ_CONTAINER" start_rabbitmq
	# Version 1.0 published Nginx itself, and a port has only one owner.
	if [[ -n $(docker port "$NGINX_CONTAINER" 2>/dev/null) ]]; then
		tell_nginx drain
		remove "$NGINX_CONTAINER"
	fi
	step "$PORT_CONTAINER" start_port &
	pids+=($!)
	step "$FLASK_CONTAINER" start_flask &
	pids+=($!)
	step "$BEAT_CONTAINER" start_beat &
	pids+=($!)
	while read -r name queues concurrency; do
		step "$name" start_worker "$name" "$queues" "$concurrency" &
		pids+=($!)
	done < <(workers)
	all_of "${pids[@]}"

	step "$NGINX_CONTAINER" start_nginx
	renew_tools
}

start_rabbitmq() {
	describe_rabbitmq
	renew "$RABBITMQ_CONTAINER"
	teach_rabbitmq <"$SECRETS_DIR/rabbitmq_definitions.json"
}

start_port() {
	describe_port
	renew "$PORT_CONTAINER"
}

# In a container of its own, before anything is renewed. The ledger's address is kept under another name until it has
# proved good: containers that run would read it at their next restart.
migrate() {
	local file=$SECRETS_DIR/database_url
	keep_secret database_url.new "$(ledger_address)"
	describe_migrate
	run_once "${PREFIX}_migrate_container" ||
		die 'the ledger could not be brought to its newest schema' 'What it said is above. Nothing that runs was touched.'
	mv "$file.new" "$file"
}

start_nginx() {
	describe_nginx
	renew_nginx
	tell_nginx refresh
}

# --- the smoke check -----------------------------------------------------------------------------

http_headers='' # more of them for each request, each with \r\n at its end

# http METHOD PATH [JSON]: the answer of Nginx, head and body. In bash alone, so that the machine needs neither curl nor
# Python; and inside the container, where no TLS is needed.
http() {
	printf '%s %s HTTP/1.0\r\nHost: localhost\r\n%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
		"$1" "$2" "$http_headers" "${#3}" "$3" |
		docker exec --interactive "$NGINX_CONTAINER" timeout 10 bash -c 'exec 3<>/dev/tcp/127.0.0.1/8081; cat >&3; cat <&3'
}

# check_published: does Nginx answer at the published port? With TLS, plain HTTP is answered as well: by the address to go to.
check_published() {
	local address=$BIND_ADDRESS answer='' connection
	if [[ $address == 0.0.0.0 ]]; then address=127.0.0.1; fi
	exec {connection}<>"/dev/tcp/$address/$PORT"
	printf 'GET /proxy-health HTTP/1.0\r\nHost: localhost\r\n\r\n' >&"$connection"
	read -r -t 10 answer <&"$connection" || true
	exec {connection}>&-
	[[ $answer == HTTP/* ]] || die "no answer comes from port $PORT on $address: $answer" "See: docker logs $PORT_CONTAINER"
}

# choose_smoke_job: a short job of a queue that some worker of the stack takes from.
choose_smoke_job() {
	local queues
	queues=,$(workers | cut -d ' ' -f 2 | paste --serial --delimiters ,),
	case $queues in
	*,heavy,*) smoke_queue=heavy smoke_kind=heavy smoke_parameters='{"seconds": 0}' ;;
	*,arithmetic,*) smoke_queue=arithmetic smoke_kind=add smoke_parameters='{"a": 1, "b": 1}' ;;
	*) smoke_queue=export smoke_kind=export smoke_parameters='{}' ;;
	esac
}

# With login it takes a token, which is revoked at the end; one that an interrupted run has left expires.
smoke_check() {
	if [[ $AUTH == on ]]; then
		token=build${NODE:+_$NODE}
		people tokens revoke "$token" >/dev/null 2>&1 || true
		http_headers="Authorization: Bearer $(people tokens add "$token" --days 0.01 2>/dev/null)\r\n"
		trap 'people tokens revoke "$token"' EXIT
	fi
	check_published
	run_smoke_job
}

# people users|tokens ARGUMENT...: what ops/users.sh and ops/tokens.sh do.
people() { docker exec "$FLASK_CONTAINER" python -m "webapp.commands.$1" "${@:2}"; }

run_smoke_job() {
	local answer id state=none deadline=$((SECONDS + 20))
	answer=$(http POST "/flask/$smoke_kind" "$smoke_parameters")
	[[ $answer =~ \"task_id\":\ *\"([^\"]+)\" ]] || die "POST /flask/$smoke_kind was not accepted: $answer" \
		"See: docker logs $FLASK_CONTAINER"
	id=${BASH_REMATCH[1]}
	while ((SECONDS < deadline)); do
		answer=$(http GET "/flask/status?task_id=$id" '')
		if [[ $answer =~ \"status\":\ *\"([A-Z]+)\" ]]; then state=${BASH_REMATCH[1]}; fi
		case $state in
		SUCCESS) return ;;
		FAILURE | REVOKED) break ;;
		esac
		sleep 0.1
	done
	if [[ $state == PENDING ]] && has_to_wait; then return; fi
	die "the job $id did not succeed within 20 s: $answer" "See: docker logs $CELERY_CONTAINER"
}

# has_to_wait: is the job's queue paused, or the stack just busy? Then the queue holds more messages than this one, and a
# worker that is alive runs a job from it. (Of a worker that is not alive, the ledger shows no running job for long.)
has_to_wait() {
	local queues running
	queues=$("$WARREN_DIR/list_queues.sh" --json)
	if [[ $queues =~ \"$smoke_queue\"[^}]*\"paused\":\ true ]]; then return; fi
	[[ $queues =~ \"$smoke_queue\",\ *\"ready\":\ *([0-9]+),\ *\"unacknowledged\":\ *([0-9]+) ]] || return 1
	((BASH_REMATCH[1] + BASH_REMATCH[2] >= 2)) || return 1
	running=$(http GET '/flask/tasks?status=STARTED,PROGRESS&limit=500' '')
	[[ $running =~ \"queue\":\ *\"$smoke_queue\" ]]
}

# let_first_in: where people log in and nobody may yet, an administrator. The password is shown only now.
let_first_in() {
	local shown
	if [[ $AUTH == off ]]; then return; fi
	shown=$(people users first)
	if [[ -n $shown ]]; then printf '\nThe first administrator:\n%s\n' "$shown"; fi
}

say_goodbye() {
	local took=$(($(now_ms) - started)) url
	url=$(stack_url)
	cat <<-TEXT

		Warren is up, after $((took / 1000)).$((took % 1000 / 100)) s.

		  $url/             the page that Nginx serves
		  $url/flask        the dashboard; for programs, the API
		  $url/flask/heavy  a job of some seconds, each time you open it

		Try next:
		  ./monitor_queue.sh                   what waits in the queues, and how fast it goes
		  ./launch_celery_worker.sh 2          two more workers
		  docker logs -f $CELERY_CONTAINER   each job as it starts and ends
		  ./stop.sh                            stop everything; the jobs stay
	TEXT
	if [[ $TLS == on && -z $TLS_CERT ]]; then how_to_trust; fi
	tell_of_machines
	if on_loopback; then return; fi
	if [[ $AUTH == off ]]; then
		warn 'AUTH is off, and other machines can reach the stack: everybody there may do everything.'
	fi
	if [[ $TLS == off ]]; then
		warn 'TLS is off, and other machines can reach the stack: whoever is on the way reads and changes everything.'
	fi
}

main "$@"
