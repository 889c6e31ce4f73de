#!/usr/bin/env bash
# The worker of the single-file demo, flask/standalone_app.py.
set -Eeuo pipefail

WARREN_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"

usage() {
	cat <<-'HELP'
		Usage: ./start_local_celery.sh [OPTION OF "celery worker"]...

		Runs the jobs of flask/standalone_app.py until Ctrl-C, four at a time. To run more:
		  ./start_local_celery.sh --concurrency 8
		With BROKER_URL=amqp://... in its environment (and in that of standalone_app.py) it takes them from
		RabbitMQ, else from a local file in db/standalone, or where STANDALONE_DIR says.
	HELP
}

help_if_asked "$@"

python=$("$WARREN_DIR/ops/python_env.sh" standalone "$WARREN_DIR/flask/requirements.txt")
# -P keeps this folder off the import path. The name is unique ($$), so that several may run at once.
exec "$python" -P -m celery --workdir "$WARREN_DIR/flask" --app standalone_app:celery worker \
	--hostname "standalone-$$@%h" --loglevel INFO "$@"
