# shellcheck shell=bash disable=SC2034  # bench/contestants/build.sh uses these names
brokers=(redis)
web=(gunicorn --bind 0.0.0.0:8000 --workers "$WEB_PROCESSES" --threads "$WEB_THREADS" app:app)
worker=(rq worker-pool --url redis://redis:6379 --num-workers "$CELERY_CONCURRENCY" default)
