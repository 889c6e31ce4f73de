#!/usr/bin/env bash
# Add workers while jobs wait too long, and retire them when they are not needed any more.
#
# What is to be done is decided in the web container, from what the ledger has recorded (see
# jobs/commands/autoscale_policy.py). This script asks about every two seconds, and does it. Neither remembers anything.
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

MOST_WORKERS=50
LONGEST_COOLDOWN=3000 # beat keeps its samples for an hour
LOOK_EVERY=2          # seconds; beat takes a sample as often
PATIENCE=30           # seconds that an answer may take
AFTER_FAILURE=10      # seconds until the next look
BUSY=75               # exit code: try again later

usage() {
	cat <<-HELP
		Usage: ops/autoscale.sh --max N [--min N] [--queues QUEUE,...] [--wait SECONDS] [--cooldown SECONDS]

		Lets the number of workers follow the jobs, until Ctrl-C. Adds workers fast when jobs would wait too long, and
		retires them slowly, after a time without a line; one that still runs jobs ends them first. Each line that
		it prints says what it does and why. The first worker, $CELERY_CONTAINER, always stays. It may be
		ended and started again at any time, and it waits while the stack or the Docker engine is away.

		  --max N              workers at most, from 1 to $MOST_WORKERS
		  --min N              workers at least (1). Both count all workers of these queues, also the first one
		  --queues QUEUE,...   the queues to look after, and those that added workers take jobs from ($CELERY_QUEUES)
		  --wait SECONDS       add workers when a job has to wait longer than this for a free place (15)
		  --cooldown SECONDS   retire workers after so long without a line or another change (120)

		Examples:
		  ops/autoscale.sh --max 8
		  ops/autoscale.sh --min 2 --max 6 --queues heavy --cooldown 600
	HELP
}

main() {
	min=1 max='' queues=$CELERY_QUEUES wait=15 cooldown=120
	help_if_asked "$@"
	while (($#)); do
		case $1 in
		--min | --max | --queues | --wait | --cooldown) printf -v "${1#--}" '%s' "${2-}" ;;
		*) die "unknown argument: $1" 'See: ops/autoscale.sh --help' ;;
		esac
		shift $(($# > 1 ? 2 : 1))
	done
	check_number --max "$max" "$MOST_WORKERS"
	check_number --min "$min" "$MOST_WORKERS"
	((min <= max)) || die "--min $min is above --max $max" 'Give a --max that is at least as large as --min.'
	check_number --wait "$wait" "$LONGEST_COOLDOWN"
	check_number --cooldown "$cooldown" "$LONGEST_COOLDOWN"
	check_queues "$queues"
	require_running "$FLASK_CONTAINER"
	check_home
	image_exists "${PREFIX}_celery" || die "there is no image ${PREFIX}_celery" 'Build it with: ./build.sh'
	take_lock autoscaler || die "another autoscaler is at work on the stack $PREFIX" \
		'End that one first, with Ctrl-C or SIGTERM.'
	autoscaler=$lock

	exec {out}>&1 # for what is said while the output of a command goes to the log

	trap 'goodbye 130' INT
	trap 'goodbye 143' TERM
	trap '' PIPE # an adviser that has ended is started again
	printf -v started '%(%s)T' -1
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	said='' adviser=''
	say "watching $queues: at least $min and at most $max workers"
	while true; do
		look
		in_background sleep "$LOOK_EVERY"
	done
}

# check_number OPTION VALUE MOST
check_number() {
	[[ $2 =~ ^[1-9][0-9]{0,3}$ && $2 -le $3 ]] || die "not a number for $1: ${2:-nothing}" "Give a whole number from 1 to $3."
}

say() { printf '%(%F %T)T  %s\n' -1 "$1" >&"$out"; }

# trouble TEXT: say it, once for as long as it lasts; nothing is no trouble.
trouble() {
	if [[ -n $1 && $1 != "$said" ]]; then say "$1"; fi
	said=$1
}

goodbye() {
	say 'ended; the workers stay as they are'
	exit "$1"
}

# in_background COMMAND...: wait for it in a way that a signal interrupts. The autoscaler's lock is not for it: after a
# kill -9 of this script it may live on for some seconds.
in_background() {
	"$@" {autoscaler}<&- &
	wait $!
}

# look: see what is there, ask what to do, and do it.
look() {
	local found name state takes here=() ended=() names verb what why
	if ! found=$(docker ps --all --filter "label=warren.stack=$PREFIX" --filter label=warren.role=worker \
		--format '{{.Names}} {{.State}} {{.Label "warren.queues"}}' 2>/dev/null); then
		trouble 'waiting: the Docker engine does not answer'
		return
	fi
	# Workers that were added, and that serve no other queues than these.
	while read -r name state takes; do
		if [[ $name != "${CELERY_CONTAINER}_"+([0-9]) ]] || ! among "$takes" "$queues"; then continue; fi
		case $state in
		running | restarting) here+=("$name") ;;
		exited) ended+=("$name") ;;
		esac
	done <<<"$found"
	if ((${#ended[@]})); then act '' docker rm "${ended[@]}"; fi

	if ! ask "${here[*]}"; then return; fi
	case $verb in
	add) act "$why" start "$what" ;;
	retire)
		read -ra names <<<"$what"
		act "$why" retire "${names[@]}"
		;;
	*) trouble "$why" ;;
	esac
}

# among QUEUES ALLOWED: are all of these queues allowed?
among() {
	local queue
	for queue in ${1//,/ }; do
		if [[ ,$2, != *,"$queue",* ]]; then return 1; fi
	done
}

start() {
	require_running "$RABBITMQ_CONTAINER"
	add_workers "$1" "$queues" "$CELERY_CONCURRENCY"
}

# act WHY COMMAND...: say why and do it, when no other script changes the stack. The next look finds out what is left to do.
act() {
	local status
	set +e # not `if in_background ...`: that would switch off -e inside
	in_background in_turn "$@" >"$log" 2>&1
	status=$?
	set -e
	case $status in
	0) ;;
	"$BUSY") trouble 'waiting: another script is at work on the stack' ;;
	*)
		trouble "$(grep --max-count 1 '^error: ' "$log" || tail -n 1 "$log")"
		in_background sleep "$AFTER_FAILURE"
		;;
	esac
}

# in_turn WHY COMMAND...
in_turn() {
	set -e
	take_lock || exit "$BUSY"
	if [[ -n $1 ]]; then say "$1"; fi
	"${@:2}"
}

# ask NAMES: put the question, with what was said last, and read the answer into verb, what and why.
ask() {
	if [[ -z $adviser ]]; then hire; fi
	{ printf '%s\t%s\n' "$1" "$said" >&"$question"; } 2>/dev/null || true # if it has ended, its last words are still to be read
	if IFS=$'\t' read -r -t "$PATIENCE" -u "$answer" verb what why && [[ -n $what ]]; then return; fi
	trouble "waiting: ${verb:-no answer from $FLASK_CONTAINER}"
	dismiss
	return 1
}

# hire: start the adviser in the web container, at the other ends of two pipes.
hire() {
	coproc ADVISER {
		exec docker exec --interactive --env PROMETHEUS_MULTIPROC_DIR=/tmp/metrics "$FLASK_CONTAINER" \
			python -m jobs.commands.autoscale --min "$min" --max "$max" --queues "$queues" --wait "$wait" \
			--cooldown "$cooldown" --started "$started" {autoscaler}<&- 2>&1
	}
	adviser=$ADVISER_PID
	exec {question}>&"${ADVISER[1]}" {answer}<&"${ADVISER[0]}"
}

dismiss() {
	kill "$adviser" 2>/dev/null || true
	wait "$adviser" 2>/dev/null || true
	exec {question}>&- {answer}<&-
	adviser=''
}

main "$@"
