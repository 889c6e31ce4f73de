# shellcheck shell=bash disable=SC2034  # bench/contestants/build.sh uses these names
brokers=(rabbitmq redis)
web=(gunicorn --bind 0.0.0.0:8000 --workers "$WEB_PROCESSES" --threads "$WEB_THREADS" app:app)
# One thread in each process, so that as many jobs run at once as everywhere.
worker=(dramatiq --processes "$CELERY_CONCURRENCY" --threads 1 app)
