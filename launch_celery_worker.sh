#!/usr/bin/env bash
# Add workers to the running stack.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/ownership.sh
source "$WARREN_DIR/ops/ownership.sh"
# shellcheck source=ops/containers.sh
source "$WARREN_DIR/ops/containers.sh"
# shellcheck source=ops/workers.sh
source "$WARREN_DIR/ops/workers.sh"

MAX_WORKERS=50 # in one go

usage() {
	cat <<-HELP
		Usage: ./launch_celery_worker.sh [N] [--queues QUEUE,...] [--concurrency N]

		Starts N more worker containers (1 if not given) and waits until they are healthy. They are named
		${CELERY_CONTAINER}_2, _3 and so on, and ./build.sh renews them like the first one.

		  --queues QUEUE,...  the queues they take jobs from ($CELERY_QUEUES)
		  --concurrency N     the jobs each of them runs at once ($CELERY_CONCURRENCY)

		To remove some: ops/retire_workers.sh. To let their number follow the jobs: ops/autoscale.sh.
	HELP
}

main() {
	local count=1 queues=$CELERY_QUEUES concurrency=$CELERY_CONCURRENCY
	help_if_asked "$@"
	while [[ $# -gt 0 ]]; do
		case $1 in
		--queues) queues=${2-} ;;
		--concurrency) concurrency=${2-} ;;
		-*) die "unknown option: $1" 'See: ./launch_celery_worker.sh --help' ;;
		*)
			count=$1
			shift
			continue
			;;
		esac
		shift $(($# > 1 ? 2 : 1))
	done
	[[ $count =~ ^[1-9][0-9]?$ && $count -le $MAX_WORKERS ]] ||
		die "not a number of workers: $count" "Give a whole number from 1 to $MAX_WORKERS."
	[[ $concurrency =~ ^[1-9][0-9]?$ ]] || die "not a concurrency: $concurrency" 'Give a whole number from 1 to 99.'
	check_queues "$queues"
	require_running "$RABBITMQ_CONTAINER"
	check_home # or the new workers would have another ledger than the rest
	image_exists "${PREFIX}_celery" || die "there is no image ${PREFIX}_celery" 'Build it with: ./build.sh'

	only_one_at_a_time
	add_workers "$count" "$queues" "$concurrency"
	cat <<-TEXT

		See them at work:
		  docker logs -f ${added[-1]}
		  docker stats \$(docker ps --quiet --filter label=warren.stack=$PREFIX --filter label=warren.role=worker)
		  ./monitor_queue.sh
	TEXT
}

main "$@"
