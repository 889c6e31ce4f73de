#!/usr/bin/env bash
# Stop and remove the containers and networks of the stack; with --purge its data too.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/ownership.sh
source "$WARREN_DIR/ops/ownership.sh"
# shellcheck source=ops/containers.sh
source "$WARREN_DIR/ops/containers.sh"
# shellcheck source=ops/cluster.sh
source "$WARREN_DIR/ops/cluster.sh"

usage() {
	cat <<-HELP
		Usage: ./stop.sh [--purge]

		Stops and removes the containers and networks of the stack $PREFIX, workers added later too. Jobs under
		way are finished or wait; the ledger, the broker's volume, the secrets and the images stay, so that
		./build.sh goes on where this stopped.

		  --purge  remove the ledger, exported files, the volumes of RabbitMQ and PostgreSQL, and the secrets as well: all
		           jobs are gone. Backups stay, and so does what is another stack's or was never marked as this one's
	HELP
}

main() {
	help_if_asked "$@"
	[[ $# -eq 0 || $* == --purge ]] || die "unknown argument: $*" 'See: ./stop.sh --help'
	require_docker
	refuse_elsewhere
	# Of three machines, the others go on.
	if [[ $* == --purge && -z $NODE ]]; then
		CLUSTER_ADDRESS=''
		check_nobody_is_cut_off
	fi
	if [[ -z ${1:-} && -z $(containers_of) && -z $(networks_of) ]]; then
		echo "Nothing of the stack $PREFIX is there."
		return
	fi
	only_one_at_a_time
	local home
	home=$(other_home) # as long as its containers are here to say so
	remove_containers
	remove_networks
	if [[ ${1:-} == --purge ]]; then purge "$home"; fi
}

# purge HOME: remove the data, unless the stack belongs to that other folder of the project.
purge() {
	local volume
	if [[ -n $1 ]]; then
		printf 'Its data was left alone: the stack %s belongs to the folder %s. Remove it from there.\n' "$PREFIX" "$1"
		return
	fi
	leave_swarm
	step "volumes $RABBITMQ_VOLUME $PORT_VOLUME" docker volume rm --force "$RABBITMQ_VOLUME" "$PORT_VOLUME"
	for volume in "$PROMETHEUS_VOLUME" "$POSTGRES_VOLUME" "$ETCD_VOLUME"; do
		if [[ -n $(files_in "$volume") ]]; then step "volume $volume" docker volume rm "$volume"; fi
	done
	purge_place 'exported files' "$EXPORTS_DIR" '*.csv' '*.part'
	purge_place 'ledger' "$DB_DIR" 'backend.db*'
	rm -rf "$SBOM_DIR"
	purge_place 'secrets' "$SECRETS_DIR" '*_password' rabbitmq_definitions.json 'database_url*' smtp_url 'notify_*' session_keys tools \
		'authority.*' tls cluster erlang_cookie 'invitation*'
}

# purge_place WHAT FOLDER_OR_VOLUME PATTERN...: remove the files that match, or the volume, if they are this stack's.
purge_place() {
	local what=$1 place=$2 owner found
	shift 2
	owner=$(owner_of "$place")
	mapfile -t found < <(files_in "$place" "$@")
	if [[ $owner == "$PREFIX" ]]; then
		step "$what: $place" remove_place "$place" "${found[@]}"
	elif [[ -n $owner ]]; then
		printf 'Left alone: %s in %s, which belongs to the stack %s\n' "$what" "$place" "$owner"
	elif [[ ${#found[@]} -gt 0 && $place == */* ]]; then
		printf 'Left alone: %s in %s, which has no mark of its stack; ./build.sh makes one\n' "$what" "$place"
	elif [[ ${#found[@]} -gt 0 ]]; then
		printf 'Left alone: %s in %s, which has no mark of its stack; to remove it: docker volume rm %s\n' "$what" "$place" "$place"
	fi
}

# files_in FOLDER_OR_VOLUME PATTERN...: the files that match; of a volume its name, if it exists.
files_in() {
	local place=$1 pattern
	shift
	if [[ $place != */* ]]; then
		docker volume ls --quiet --filter "name=^$place\$"
	elif [[ -d $place ]]; then
		for pattern in "$@"; do find "$place" -mindepth 1 -maxdepth 1 -name "$pattern"; done
	fi
}

# remove_place FOLDER_OR_VOLUME FILE...
remove_place() {
	local place=$1
	shift
	if [[ $place != */* ]]; then
		docker volume rm "$place"
		return
	fi
	rm -rf "$@" "$place/.stack"
	# The folder of the ledger stays: it is part of the project.
	if [[ $place != "$DB_DIR" ]]; then rmdir --ignore-fail-on-non-empty "$place"; fi
}

main "$@"
