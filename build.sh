#!/usr/bin/env bash
# Build the images, create the networks, start or renew every container; safe to run again at any time.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/preflight.sh
source "$WARREN_DIR/ops/preflight.sh"
# shellcheck source=ops/install.sh
source "$WARREN_DIR/ops/install.sh"
# shellcheck source=ops/containers.sh
source "$WARREN_DIR/ops/containers.sh"
# shellcheck source=ops/secrets.sh
source "$WARREN_DIR/ops/secrets.sh"

usage() {
	cat <<-HELP
		Usage: ./build.sh [--install]

		Builds the images, creates networks, volume and secrets, starts the containers in order, waits until
		each is healthy and runs one job through all of them. Run it again after any change: it renews what
		changed, drops no request and no job, and leaves everything else alone.

		  --install  first install Docker and what else is missing (Debian or Ubuntu, as root)

		Settings come from settings.sh; each can be given for one run: PORT=8010 ./build.sh
	HELP
}

main() {
	! help_wanted "$@" || { usage && return; }
	case ${1:-} in
	'') ;;
	--install) install_and_start_docker ;;
	*) die "unknown argument: $1" 'See: ./build.sh --help' ;;
	esac
	preflight
	trap 'stop_steps; exit 130' INT TERM
	trap wait EXIT # after a failure, for the steps beside it
	started=$(now_ms)

	step "base image $BASE" "$WARREN_DIR/ops/base_image.sh"
	check_file_system "$(file_system_inside "$DB_DIR")" "$DB_DIR"
	build_images
	only_one_at_a_time
	step 'networks, volume, secrets' make_surroundings
	start_containers
	# What this run has replaced; the layers that are still in use stay.
	docker image prune --force --filter "label=warren.stack=$PREFIX" >/dev/null
	step 'smoke check: one heavy job through Nginx, Flask, RabbitMQ and Celery' smoke_check
	say_goodbye
}

# Ctrl-C reaches steps in the background only through this.
stop_steps() { jobs -p | xargs --no-run-if-empty kill 2>/dev/null || true; }

# --- images --------------------------------------------------------------------------------------

# Two at a time: Flask's first layers serve Celery too, and RabbitMQ is mostly unpacking.
build_images() {
	{
		step "image ${PREFIX}_flask" build_image flask
		step "image ${PREFIX}_celery" build_image celery
	} &
	local python=$!
	{
		step "image ${PREFIX}_rabbitmq" build_image rabbitmq
		step "image ${PREFIX}_nginx" build_image nginx
	} &
	all_of "$python" $!
}

# build_image NAME: from the Dockerfile in that folder.
build_image() {
	# An attestation would give an unchanged image a new id, and so a new container, every time.
	BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --file "$WARREN_DIR/$1/Dockerfile" --tag "${PREFIX}_$1" --label "warren.stack=$PREFIX" \
		--build-arg "BASE=$BASE" --build-arg "WARREN_UID=$WARREN_UID" --build-arg "WARREN_GID=$WARREN_GID" "$WARREN_DIR"
}

# --- what the containers stand on ----------------------------------------------------------------

make_surroundings() {
	# --internal: nothing outside can reach this network, and nothing in it can get out.
	docker network inspect "$NETWORK" >/dev/null 2>&1 ||
		docker network create --internal --label "warren.stack=$PREFIX" "$NETWORK"
	docker network inspect "$FRONT_NETWORK" >/dev/null 2>&1 ||
		docker network create --label "warren.stack=$PREFIX" "$FRONT_NETWORK"
	docker volume create --label "warren.stack=$PREFIX" "$RABBITMQ_VOLUME"
	make_secrets
	if [[ $DB_DIR == */* ]]; then
		mkdir -p "$DB_DIR"
		shopt -s nullglob # there may be no ledger yet
		give_to_containers "$DB_DIR" "$DB_DIR"/backend.db*
	fi
	if [[ $EXPORTS_DIR == */* ]]; then
		mkdir -p "$EXPORTS_DIR"
		give_to_containers "$EXPORTS_DIR" "$EXPORTS_DIR"/*.csv
	fi
}

# --- containers, in order ------------------------------------------------------------------------

start_containers() {
	local name queues concurrency pids=()
	step "$RABBITMQ_CONTAINER" start_rabbitmq &
	local rabbitmq=$!
	step 'schema of the ledger' migrate
	all_of "$rabbitmq"

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
}

start_rabbitmq() {
	describe_rabbitmq
	renew "$RABBITMQ_CONTAINER"
	wait_healthy "$RABBITMQ_CONTAINER"
}

# In a container of its own, before anything that uses the ledger starts.
migrate() {
	describe_flask
	docker run --rm "${arguments[@]}" --restart no --label warren.role=migrate "$image" python -m jobs.commands.migrate ||
		die 'the ledger could not be brought to its newest schema' 'What it said is above. Nothing that runs was touched.'
}

start_flask() {
	describe_flask
	renew_flask
}

start_beat() {
	describe_beat
	renew "$BEAT_CONTAINER"
	wait_healthy "$BEAT_CONTAINER"
}

start_nginx() {
	describe_nginx
	# The published port can have only one owner, so for about a second nobody is reached there. Draining first,
	# clients that are there already are not cut off in the middle.
	up_to_date "$NGINX_CONTAINER" || tell_nginx drain
	renew "$NGINX_CONTAINER"
	wait_healthy "$NGINX_CONTAINER"
	tell_nginx refresh
}

# --- the smoke check -----------------------------------------------------------------------------

# http METHOD PATH [JSON]: the answer of the published port, head and body. In bash alone, so that the machine
# needs neither curl nor Python.
http() {
	local address=$BIND_ADDRESS connection
	[[ $address != 0.0.0.0 ]] || address=127.0.0.1
	exec {connection}<>"/dev/tcp/$address/$PORT"
	printf '%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
		"$1" "$2" "${#3}" "$3" >&"$connection"
	timeout 10 cat <&"$connection"
	exec {connection}>&-
}

smoke_check() {
	local answer id waiting deadline=$((SECONDS + 20))
	answer=$(http POST /flask/heavy '{"seconds": 0}')
	[[ $answer =~ \"task_id\":\ *\"([^\"]+)\" ]] || die "POST /flask/heavy was not accepted: $answer" \
		"See: docker logs $FLASK_CONTAINER"
	id=${BASH_REMATCH[1]}
	while ((SECONDS < deadline)); do
		answer=$(http GET "/flask/status?task_id=$id" '')
		[[ ! $answer =~ \"status\":\ *\"SUCCESS\" ]] || return 0
		sleep 0.1
	done
	# Run again on a busy stack, this job stands in line like any other.
	waiting=$("$WARREN_DIR/list_queues.sh" --json)
	[[ ! $waiting =~ \"ready\":\ *([2-9]|[1-9][0-9]) ]] || return 0
	die "the job $id did not succeed within 20 s: $answer" "See: docker logs $CELERY_CONTAINER"
}

say_goodbye() {
	local took=$(($(now_ms) - started)) url=http://$BIND_ADDRESS:$PORT
	[[ $BIND_ADDRESS != 127.0.0.1 && $BIND_ADDRESS != 0.0.0.0 ]] || url=http://localhost:$PORT
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
}

main "$@"
