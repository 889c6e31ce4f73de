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
# shellcheck source=ops/images.sh
source "$WARREN_DIR/ops/images.sh"
# shellcheck source=ops/secrets.sh
source "$WARREN_DIR/ops/secrets.sh"
# shellcheck source=ops/cluster.sh
source "$WARREN_DIR/ops/cluster.sh"

MAX_WORKERS=50 # in one go

usage() {
	cat <<-HELP
		Usage: ./launch_celery_worker.sh [N] [--queues QUEUE,...] [--concurrency N] [--join FILE]
		       ./launch_celery_worker.sh --invite | --leave

		Starts N more worker containers (1 if not given) and waits until they are healthy. They are named
		${CELERY_CONTAINER}_2, _3 and so on, and ./build.sh renews them like the first one.

		  --queues QUEUE,...  the queues they take jobs from ($CELERY_QUEUES)
		  --concurrency N     the jobs each of them runs at once ($CELERY_CONCURRENCY)

		Workers on another machine, of a stack that was built with ./build.sh --cluster ADDRESS:
		  --invite            on the first machine: write a file for one other machine, and wait until that has joined
		  --join FILE         on the other one: join with that file, and start N workers there
		  --leave             on the other one: let its workers end what they run, forget the secrets, and leave

		To remove some: ops/retire_workers.sh. To let their number follow the jobs: ops/autoscale.sh.
	HELP
}

main() {
	local count=1 queues concurrency=$CELERY_CONCURRENCY invitation='' asked=$*
	help_if_asked "$@"
	while [[ $# -gt 0 ]]; do
		case $1 in
		--queues) queues=${2-} ;;
		--concurrency) concurrency=${2-} ;;
		--join) invitation=${2:-nothing} ;;
		--invite | --leave)
			[[ $asked == "$1" ]] || die "$1 goes with nothing else: $asked" 'See: ./launch_celery_worker.sh --help'
			require_docker
			"${1#--}"
			return
			;;
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
	: "${queues=$CELERY_QUEUES}"
	check_queues "$queues"
	require_docker
	if [[ -z $MACHINE$invitation ]]; then require_running "$RABBITMQ_CONTAINER"; fi
	check_home # or the new workers would have another ledger than the rest

	only_one_at_a_time
	if [[ -n $invitation ]]; then
		join "$invitation" "$count" "$queues" "$concurrency"
	else
		image_exists "${PREFIX}_celery" || die "there is no image ${PREFIX}_celery" 'Build it with: ./build.sh'
		add_workers "$count" "$queues" "$concurrency"
	fi
	cat <<-TEXT

		See them at work:
		  docker logs -f ${added[-1]}
		  docker stats \$(docker ps --quiet --filter label=warren.stack=$PREFIX --filter label=warren.role=worker)
	TEXT
	if [[ -z $MACHINE ]]; then echo '  ./monitor_queue.sh'; fi
}

main "$@"
