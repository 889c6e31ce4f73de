# shellcheck shell=bash
# How a contestant's stack is built, started and tried: what the textbook and the others have in common.
# Sourced, never run. Who sources it has set PREFIX before, sets the arrays below afterwards, and has a function build_app
# that makes the image of web server and worker.

# Beside a Warren with its own settings, not in its place.
PORT=${PORT:-8001}
DB_DIR=${DB_DIR:-${PREFIX}_db}
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/ownership.sh
source "$WARREN_DIR/ops/ownership.sh"

brokers=() # rabbitmq, redis, both or none
web=()     # the command of the web server ...
worker=()  # ... and of the worker

# bring_up: from nothing, or from an earlier stack of this name, to the first job that came through.
bring_up() {
	require_docker
	check_owner DB_DIR
	check_home
	step "base image $BASE" "$WARREN_DIR/ops/base_image.sh"
	step 'images' build_images
	step 'network, data' make_surroundings
	step 'containers' start_containers
	step 'smoke check: one job from Nginx to its result' smoke_check
	printf '\nThe stack %s is up: http://localhost:%s/flask\n' "$PREFIX" "$PORT"
}

# --- images --------------------------------------------------------------------------------------

build_images() {
	build_app
	local broker
	for broker in "${brokers[@]}"; do
		case $broker in
		rabbitmq) build_image rabbitmq bench/textbook/Dockerfile.rabbitmq "BASE=$BASE" ;;
		redis) build_image redis bench/contestants/Dockerfile.redis "BASE=$BASE" ;;
		esac
	done
	build_image nginx bench/textbook/Dockerfile.nginx "BASE=$BASE"
}

# build_image NAME DOCKERFILE BUILD_ARGUMENT...
build_image() {
	local name=$1 file=$2
	shift 2
	docker build --file "$WARREN_DIR/$file" --tag "${PREFIX}_$name" "${@/#/--build-arg=}" "$WARREN_DIR"
}

# --- containers ----------------------------------------------------------------------------------

make_surroundings() {
	if ! docker network inspect "$NETWORK" >/dev/null 2>&1; then
		docker network create "${STACK_LABELS[@]}" "$NETWORK"
	fi
	claim "$DB_DIR"
}

start_containers() {
	local broker
	for broker in "${brokers[@]}"; do
		# The hostname names RabbitMQ's data, which lives and dies with the container.
		start "$broker" --hostname "$broker" "${PREFIX}_$broker"
	done
	start flask --volume "$DB_DIR:/db" --env IGNORE_RESULT "${PREFIX}_flask" "${web[@]}"
	start worker --volume "$DB_DIR:/db" --env IGNORE_RESULT --env "SMTP_URL=$SMTP_URL" "${PREFIX}_flask" "${worker[@]}"
	start nginx --publish "$BIND_ADDRESS:$PORT:8080" "${PREFIX}_nginx"
}

# start ROLE ARGUMENT...: in place of the one that is there; the role is its name in the network, too.
start() {
	local role=$1 name=${PREFIX}_${1}_container
	shift
	if [[ $role == worker ]]; then name=$CELERY_CONTAINER; fi
	if container_exists "$name"; then docker rm --force "$name"; fi
	docker run --detach --name "$name" --network "$NETWORK" --network-alias "$role" --restart unless-stopped \
		"${STACK_LABELS[@]}" --label "warren.role=$role" "$@"
}

# --- the smoke check -----------------------------------------------------------------------------

smoke_check() {
	local deadline=$((SECONDS + HEALTH_TIMEOUT))
	until docker exec "$FLASK_CONTAINER" python -c "$smoke_job"; do
		((SECONDS < deadline)) || die 'no job came through' "See: docker logs $CELERY_CONTAINER"
		sleep 0.5
	done
}

# In the web container, since there is a Python for sure.
smoke_job='
import json, os, time, urllib.request

def ask(path, body=None):
    head = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request("http://nginx:8080/flask/" + path, body, head), timeout=5) as answer:
        return json.load(answer)

task_id = ask("add", b"{\"a\": 1, \"b\": 2}")["task_id"]
until = time.monotonic() + 30
while "IGNORE_RESULT" not in os.environ and ask("status?task_id=" + task_id)["result"] != 3:
    assert time.monotonic() < until, "no result after 30 s"
    time.sleep(0.05)
'
