# shellcheck shell=bash disable=SC2034  # bench/contestants/build.sh uses these names
brokers=()
web=(gunicorn --bind 0.0.0.0:8000 --workers "$WEB_PROCESSES" --threads "$WEB_THREADS" app:app)
worker=(huey_consumer app.huey --worker-type process --workers "$CELERY_CONCURRENCY")
