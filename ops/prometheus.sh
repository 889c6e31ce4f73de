#!/usr/bin/env bash
# Prometheus, which keeps the figures of the stack and raises alerts: start it behind Nginx, or stop it.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/tools.sh
source "$WARREN_DIR/ops/tools.sh"

usage() {
	cat <<-HELP
		Usage: ops/prometheus.sh start [--new-password] | stop

		Starts Prometheus for the running stack $PREFIX, at $(stack_url)/prometheus/, or stops it. It asks Flask,
		RabbitMQ and each worker for their figures every 15 s, and shows alerts, each with what to do. It keeps the
		figures for PROMETHEUS_RETENTION ($PROMETHEUS_RETENTION) and on at most PROMETHEUS_SIZE ($PROMETHEUS_SIZE), also while it is stopped.

		  --new-password  make another password; the first start makes one anyway, and shows it once

		Examples:
		  ops/prometheus.sh start
		  ops/prometheus.sh stop
	HELP
}

run_tool prometheus "$@"
