#!/usr/bin/env bash
# Build and start the textbook stack, which Warren is compared with.
set -Eeuo pipefail
# Beside a Warren with its own settings, not in its place.
PREFIX=${PREFIX:-textbook}
PORT=${PORT:-8001}
DB_DIR=${DB_DIR:-${PREFIX}_db}
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/ownership.sh
source "$WARREN_DIR/ops/ownership.sh"

usage() {
	cat <<-HELP
		Usage: bench/textbook/build.sh

		Starts Nginx, Flask, RabbitMQ and one Celery worker as most tutorials put them together, with every
		default left as it is: http://localhost:$PORT/flask. Same base image, same package versions, same number
		of processes as Warren; no ledger, no late acknowledgement, no publisher confirms, no healthchecks.
		To remove it: PREFIX=$PREFIX DB_DIR=$DB_DIR ./stop.sh --purge
	HELP
}

main() {
	help_if_asked "$@"
	[[ $# -eq 0 ]] || die "unknown argument: $1" 'See: bench/textbook/build.sh --help'
	require_docker
	check_owner DB_DIR
	check_home
	step "base image $BASE" "$WARREN_DIR/ops/base_image.sh"
	step 'images' build_images
	step 'network, volume' make_surroundings
	step 'containers' start_containers
	step 'smoke check: one job through RabbitMQ and Celery' smoke_check
	printf '\nThe textbook stack is up: http://localhost:%s/flask\n' "$PORT"
}

build_images() {
	build_image python jobs/Dockerfile "BASE=$BASE" "WARREN_UID=$WARREN_UID" "WARREN_GID=$WARREN_GID"
	build_image flask bench/textbook/Dockerfile "PYTHON_IMAGE=${PREFIX}_python"
	build_image rabbitmq bench/textbook/Dockerfile.rabbitmq "BASE=$BASE"
	build_image nginx bench/textbook/Dockerfile.nginx "BASE=$BASE"
}

# build_image NAME DOCKERFILE BUILD_ARGUMENT...
build_image() {
	local name=$1 file=$2
	shift 2
	docker build --file "$WARREN_DIR/$file" --tag "${PREFIX}_$name" "${@/#/--build-arg=}" "$WARREN_DIR"
}

make_surroundings() {
	if ! docker network inspect "$NETWORK" >/dev/null 2>&1; then
		docker network create "${STACK_LABELS[@]}" "$NETWORK"
	fi
	claim "$DB_DIR"
}

start_containers() {
	# The hostname names RabbitMQ's data, which lives and dies with the container.
	start "$RABBITMQ_CONTAINER" rabbitmq --hostname rabbitmq "${PREFIX}_rabbitmq"
	start "$FLASK_CONTAINER" flask --volume "$DB_DIR:/db" "${PREFIX}_flask"
	start "$CELERY_CONTAINER" worker --volume "$DB_DIR:/db" --env "SMTP_URL=$SMTP_URL" "${PREFIX}_flask" \
		celery --app app:celery worker --concurrency "$CELERY_CONCURRENCY" --loglevel INFO
	start "$NGINX_CONTAINER" nginx --publish "$BIND_ADDRESS:$PORT:8080" "${PREFIX}_nginx"
}

# start NAME ROLE ARGUMENT...: in place of the one that is there; the role is its name in the network, too.
start() {
	local name=$1 role=$2
	shift 2
	if container_exists "$name"; then docker rm --force "$name"; fi
	docker run --detach --name "$name" --network "$NETWORK" --network-alias "$role" --restart unless-stopped \
		"${STACK_LABELS[@]}" --label "warren.role=$role" "$@"
}

smoke_check() {
	local deadline=$((SECONDS + HEALTH_TIMEOUT))
	until docker exec "$FLASK_CONTAINER" python -c 'import app; app.add.delay(1, 2).get(timeout=5)' &&
		(exec 3<>"/dev/tcp/127.0.0.1/$PORT"); do
		((SECONDS < deadline)) || die 'no job came through' "See: docker logs $CELERY_CONTAINER"
		sleep 1
	done
}

main "$@"
