# shellcheck shell=bash disable=SC2034  # bench/contestants/build.sh uses these names
brokers=(rabbitmq redis)
# Gunicorn writes no line for each request, so Uvicorn does not, either.
web=(uvicorn --host 0.0.0.0 --port 8000 --workers "$WEB_PROCESSES" --no-access-log app:app)
worker=(taskiq worker --workers "$CELERY_CONCURRENCY" app:broker)
