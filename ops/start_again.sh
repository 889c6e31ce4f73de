#!/usr/bin/env bash
# Start what Docker could not start: on one of several machines, after that machine was away.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/containers.sh
source "$WARREN_DIR/ops/containers.sh"

PAUSE=5 # seconds from one look to the next

usage() {
	cat <<-HELP
		Usage: ops/start_again.sh [--once|--unit]

		When a machine starts, Docker starts its containers before it knows all networks of the other machines again. A
		container whose network is not there yet stays stopped. This script looks every $PAUSE s for such containers of the stack
		$PREFIX, and starts them. What was stopped by hand stays stopped. It runs until it is ended: let systemd do that.

		  --once  look once, and end
		  --unit  print the unit for systemd

		Examples:
		  ops/start_again.sh --unit >/etc/systemd/system/warren_$PREFIX.service
		  systemctl enable --now warren_$PREFIX
	HELP
}

main() {
	help_if_asked "$@"
	case $* in
	--unit) unit ;;
	--once) start_again ;;
	'')
		while true; do
			start_again 2>/dev/null || true # the engine may be starting
			sleep "$PAUSE"
		done
		;;
	*) die "unknown argument: $*" 'See: ops/start_again.sh --help' ;;
	esac
}

# start_again: but not while another script is at work on the stack.
start_again() {
	local name
	could_not_start | while read -r name; do
		if (take_lock && docker start "$name" >/dev/null 2>&1); then printf 'started: %s\n' "$name"; fi
	done
}

# could_not_start: the containers that Docker has tried to start in vain, one per line; whom others need comes first.
could_not_start() {
	local role names
	for role in etcd postgres rabbitmq flask worker beat; do
		mapfile -t names < <(containers_of "$role")
		if [[ ${#names[@]} -eq 0 ]]; then continue; fi
		docker container inspect --format '{{if and (eq .State.Status "exited") .State.Error}}{{slice .Name 1}}{{end}}' "${names[@]}" | sed '/^$/d'
	done
}

unit() {
	cat <<-UNIT
		[Unit]
		Description=Warren: start again what Docker could not start
		After=docker.service
		Requires=docker.service

		[Service]
		ExecStart=$WARREN_DIR/ops/start_again.sh
		Environment=PREFIX=$PREFIX SECRETS_DIR=$SECRETS_DIR
		User=$(id --user --name)
		Restart=always

		[Install]
		WantedBy=multi-user.target
	UNIT
}

main "$@"
