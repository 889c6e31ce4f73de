# shellcheck shell=bash
# What every script shares: help, errors, steps with their times, and small questions to Docker.
# Sourced, never run. Help, errors and steps need nothing else; what speaks of the stack needs settings.sh.

shopt -s inherit_errexit # a failure inside $(...) counts as well

# die MESSAGE REMEDY...: what went wrong, an empty line, what to do about it; then the end.
die() {
	printf 'error: %s\n' "$1" >&2
	shift
	if [[ $# -gt 0 ]]; then printf '\n%s\n' "$*" >&2; fi
	exit 1
}

# warn MESSAGE: of something that is allowed, but should not stay so.
warn() { printf 'warning: %s\n' "$1" >&2; }

# help_if_asked "$@": if an argument is -h or --help, print the script's usage and end. What comes after -- is
# for another program.
help_if_asked() {
	local argument
	for argument in "$@"; do
		case $argument in
		-h | --help)
			usage
			exit
			;;
		--) return ;;
		esac
	done
}

# --- steps ---------------------------------------------------------------------------------------

# step TEXT COMMAND...: run the command and show what it did and how long it took. Its output goes to a
# log, of which the end is shown if it fails. On a terminal the running step is shown as well.
step() {
	local text=$1 log started took status
	shift
	log=$(mktemp)
	started=$(now_ms)
	# Not for steps in the background: several lines would overwrite each other.
	if [[ $BASHPID -eq $$ && -t 1 ]]; then printf '    ...    %s\r' "$text"; fi
	# A subshell, so that a failure ends the step and its log can be shown. Not `( ) || ...`: that would
	# switch off -e inside.
	set +e
	(
		set -e
		"$@"
	) >"$log" 2>&1
	status=$?
	set -e
	took=$(($(now_ms) - started))
	if [[ -t 1 ]]; then printf '\033[K'; fi
	if [[ $status -eq 0 ]]; then
		printf '%6d.%d s  %s\n' $((took / 1000)) $((took % 1000 / 100)) "$text"
	else
		printf 'failed after %d s: %s\n\n' $((took / 1000)) "$text" >&2
		tail -n 25 "$log" >&2
	fi
	rm "$log"
	return "$status"
}

now_ms() { printf '%s' $((${EPOCHREALTIME/[.,]/} / 1000)); }

# all_of PID...: wait for every one of these background jobs, then fail if any of them failed.
all_of() {
	local pid status=0
	for pid in "$@"; do wait "$pid" || status=$?; done
	return "$status"
}

# stack_url: where people on this machine find the stack.
stack_url() {
	local scheme=http host=$BIND_ADDRESS
	if [[ $TLS == on ]]; then scheme=https; fi
	case $host in 127.0.0.1 | 0.0.0.0) host=localhost ;; esac
	printf '%s://%s:%s' "$scheme" "$host" "$PORT"
}

# --- questions to Docker -------------------------------------------------------------------------

# label CONTAINER NAME: the label's value; nothing if there is no such container.
label() { docker container inspect --format "{{index .Config.Labels \"$2\"}}" "$1" 2>/dev/null || true; }

image_exists() { docker image inspect "$1" >/dev/null 2>&1; }

container_exists() { docker container inspect "$1" >/dev/null 2>&1; }

container_running() { [[ $(docker container inspect --format '{{.State.Running}}' "$1" 2>/dev/null) == true ]]; }

# containers_of [ROLE]: the names of this stack's containers, running or not.
containers_of() {
	local filters=(--filter "label=warren.stack=$PREFIX")
	if [[ -n ${1:-} ]]; then filters+=(--filter "label=warren.role=$1"); fi
	docker ps --all "${filters[@]}" --format '{{.Names}}' | sort -V
}

# networks_of: the names of this stack's networks.
networks_of() { docker network ls --filter "label=warren.stack=$PREFIX" --format '{{.Name}}'; }

# require_docker: a client is here, an engine answers it, and we may use it.
require_docker() {
	local answer
	command -v docker >/dev/null || die 'Docker is not installed' \
		'Let it be installed, as root: ./build.sh --install'
	if answer=$(docker version --format '{{.Server.Version}}' 2>&1); then return; fi
	case $answer in
	*'permission denied'*)
		die "$(id -un) may not use Docker" \
			"Run this as root, or once: sudo usermod -aG docker $(id -un)   and log in again."
		;;
	*)
		die 'the Docker engine does not answer' \
			'Start it: sudo systemctl start docker   (without systemd, as root: ./build.sh --install)'
		;;
	esac
}

# require_running CONTAINER: for the scripts that look into a running stack.
require_running() {
	require_docker
	container_running "$1" || die "$1 is not running" 'Start the stack with: ./build.sh'
}

# refuse_on_three MESSAGE: for what one of three machines cannot do alone.
refuse_on_three() {
	[[ -z $NODE ]] || die "$1: this machine is number $NODE of $CLUSTER_ADDRESSES" 'See: docs/beyond_one_machine.md'
}

# --- queues --------------------------------------------------------------------------------------

# The queues that the broker has, one per line.
known_queues() { sed -n 's/.*"name": "\([^"]*\)".*"x-queue-type".*/\1/p' "$WARREN_DIR/rabbitmq/definitions.json.template"; }

# check_queues NAME,NAME...: refuse an empty list and names that the broker does not have.
check_queues() {
	local queue known
	known=$(known_queues)
	[[ -n $1 && $1 != *, ]] || die 'the list of queues is empty' "The queues are: ${known//$'\n'/, }"
	for queue in ${1//,/ }; do
		grep --quiet --line-regexp --fixed-strings -- "$queue" <<<"$known" || die "there is no queue named $queue" \
			"The queues are: ${known//$'\n'/, }"
	done
}
