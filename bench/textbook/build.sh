#!/usr/bin/env bash
# Build and start the textbook stack, which Warren is compared with.
set -Eeuo pipefail
PREFIX=${PREFIX:-textbook}
# shellcheck source=bench/contestants/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../contestants/lib.sh"

usage() {
	cat <<-HELP
		Usage: bench/textbook/build.sh [--images]

		Starts Nginx, Flask, RabbitMQ and one Celery worker as most tutorials put them together, with every
		default left as it is: http://localhost:$PORT/flask. Same base image, same package versions, same number
		of processes as Warren; no ledger, no late acknowledgement, no publisher confirms, no healthchecks.
		With IGNORE_RESULT=1 Celery keeps no results: this is the fastest that it can be.
		With --images it only builds the images.
		To remove it: PREFIX=$PREFIX DB_DIR=$DB_DIR ./stop.sh --purge
	HELP
}

# shellcheck disable=SC2034  # bench/contestants/lib.sh uses these names
brokers=(rabbitmq)
# shellcheck disable=SC2034
web=(gunicorn --bind 0.0.0.0:8000 --workers "$WEB_PROCESSES" --threads "$WEB_THREADS" app:app)
# shellcheck disable=SC2034
worker=(celery --app app:celery worker --concurrency "$CELERY_CONCURRENCY" --loglevel INFO)

# From what Warren's Flask and Celery share, so that the versions of all packages are the same.
build_app() {
	build_image python jobs/Dockerfile "BASE=$BASE" "WARREN_UID=$WARREN_UID" "WARREN_GID=$WARREN_GID"
	build_image flask bench/textbook/Dockerfile "PYTHON_IMAGE=${PREFIX}_python"
}

help_if_asked "$@"
case $* in
'') bring_up ;;
--images) step 'images' build_images ;;
*) die "unknown argument: $1" 'See: bench/textbook/build.sh --help' ;;
esac
