#!/usr/bin/env bash
# Remove workers that were added, without cutting off a job.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/ownership.sh
source "$WARREN_DIR/ops/ownership.sh"
# shellcheck source=ops/containers.sh
source "$WARREN_DIR/ops/containers.sh"
# shellcheck source=ops/workers.sh
source "$WARREN_DIR/ops/workers.sh"

usage() {
	cat <<-HELP
		Usage: ops/retire_workers.sh [N|NAME...]

		Removes the N workers that were added last (1 if not given), or those with these names. Each takes no more
		jobs from now on, gives back those that it has only fetched, ends those that it runs, and is removed then.
		What still runs after RETIRE_TIMEOUT ($RETIRE_TIMEOUT s) is put back, and runs elsewhere. After Ctrl-C they end all
		the same; run this again to remove them. The first worker, $CELERY_CONTAINER, stays: ./stop.sh stops it.

		Examples:
		  ops/retire_workers.sh
		  ops/retire_workers.sh 3
		  ops/retire_workers.sh ${CELERY_CONTAINER}_2 ${CELERY_CONTAINER}_4
	HELP
}

main() {
	local added chosen=() name pids=()
	help_if_asked "$@"
	require_docker
	check_home
	mapfile -t added < <(added_workers)
	if [[ $# -le 1 && ${1-1} =~ ^[0-9]+$ ]]; then
		choose_last "${1-1}"
	else
		choose_names "$@"
	fi

	if [[ ${#chosen[@]} -eq 0 ]]; then
		echo 'No worker was added, so there is none to retire.'
		return
	fi
	printf 'Waiting for the jobs that they still run: %s\n' "${chosen[*]}"
	for name in "${chosen[@]}"; do
		step "$name" leave "$name" &
		pids+=($!)
	done
	all_of "${pids[@]}"
}

# choose_last N: the last N of `added`, in `chosen`.
choose_last() {
	[[ $1 -ge 1 ]] || die "not a number of workers: $1" 'Give a whole number from 1 on, or names.'
	if [[ ${#added[@]} -eq 0 ]]; then return; fi
	[[ $1 -le ${#added[@]} ]] || die "there are not $1 workers to retire, only ${#added[@]}" \
		"Those that were added are: ${added[*]}"
	chosen=("${added[@]: -$1}")
}

# choose_names NAME...: in `chosen`, if they are of `added`.
choose_names() {
	local name
	for name in "$@"; do
		[[ $name != "$CELERY_CONTAINER" ]] || die "$name is the first worker, which always stays" \
			'To stop it with all of the stack: ./stop.sh'
		[[ " ${added[*]} " == *" $name "* ]] || die "no worker was added under the name $name" \
			"Those that were added are: ${added[*]:-none}"
	done
	chosen=("$@")
}

# leave NAME: tell it until it has heard it, for one that just starts or is just renewed does not, and remove it when
# it has ended. In between, other scripts have their turns.
leave() {
	while container_exists "$1"; do
		if (take_lock && retire_or_remove "$1"); then continue; fi
		sleep 1
	done
}

# retire_or_remove NAME: succeeds when it is removed.
retire_or_remove() {
	if container_running "$1"; then
		retire "$1"
		return 1
	fi
	docker rm "$1"
}

main "$@"
