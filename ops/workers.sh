# shellcheck shell=bash
# How workers are added to the running stack, and how they are retired.
# Sourced after settings.sh, ops/lib.sh and ops/containers.sh, never run.

# add_workers N QUEUES CONCURRENCY: start so many and wait until they are healthy; their names are in `added` then.
add_workers() {
	local name pids=()
	mapfile -t added < <(free_names "$1")
	for name in "${added[@]}"; do
		step "$name" start_worker "$name" "$2" "$3" &
		pids+=($!)
	done
	all_of "${pids[@]}"
}

# free_names N: the N first names that no container has.
free_names() {
	local left=$1 number
	for ((number = 2; left > 0; number++)); do
		if container_exists "${CELERY_CONTAINER}_$number"; then continue; fi
		printf '%s\n' "${CELERY_CONTAINER}_$number"
		left=$((left - 1))
	done
}

# retire NAME...: let these workers take no more jobs, and end when those that they run are over (see
# jobs/worker/retirement.py). May be said again. Docker does not start them again; whoever finds them ended removes them.
retire() { docker kill --signal USR2 "$@" >/dev/null; }
