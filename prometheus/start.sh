#!/bin/bash
# Start Prometheus. Its configuration cannot read the environment, so the prefix of the stack is written into a copy.
# What could change it or end it from outside (--web.enable-admin-api, --web.enable-lifecycle) stays off.
set -Eeuo pipefail

sed "s/@PREFIX@/$PREFIX/g" /etc/prometheus/prometheus.yml >/tmp/prometheus.yml
exec prometheus \
	--config.file=/tmp/prometheus.yml \
	--storage.tsdb.path=/data \
	--storage.tsdb.retention.time="$PROMETHEUS_RETENTION" \
	--storage.tsdb.retention.size="$PROMETHEUS_SIZE" \
	--web.listen-address=:8080 \
	--web.external-url="$URL/prometheus/" \
	--log.level=warn
