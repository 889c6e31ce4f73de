#!/usr/bin/env bash
# Stop and remove the containers and networks of the stack; with --purge its data too.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"

usage() {
	cat <<-HELP
		Usage: ./stop.sh [--purge]

		Stops and removes the containers and networks of the stack $PREFIX, workers added later too. Jobs under
		way are finished or wait; the ledger, the broker's volume, the secrets and the images stay, so that
		./build.sh goes on where this stopped.

		  --purge  remove the ledger, exported files, the broker's volume and the secrets as well: all jobs are gone
	HELP
}

main() {
	! help_wanted "$@" || { usage && return; }
	[[ $# -eq 0 || $* == --purge ]] || die "unknown argument: $*" 'See: ./stop.sh --help'
	require_docker

	[[ -n $(everything) ]] || [[ ${1:-} == --purge ]] || {
		echo "Nothing of the stack $PREFIX is there."
		return
	}
	# The way in first, then those who do the work, and what they all use last.
	stop_role nginx
	stop_role flask
	stop_role worker beat
	stop_role rabbitmq
	stop_role migrate
	remove_networks
	[[ ${1:-} != --purge ]] || step "data: ledger, exported files, volume $RABBITMQ_VOLUME, secrets" purge
}

everything() {
	containers_of
	docker network ls --filter "label=warren.stack=$PREFIX" --format '{{.Name}}'
}

# stop_role ROLE...: all containers of these roles at once; `docker stop` with many names does not wait for each.
stop_role() {
	local role names=()
	for role in "$@"; do
		mapfile -t -O ${#names[@]} names < <(containers_of "$role")
	done
	[[ ${#names[@]} -eq 0 ]] || step "${names[*]}" stop_and_remove "${names[@]}"
}

stop_and_remove() {
	docker stop "$@"
	docker rm "$@"
}

remove_networks() {
	local names
	mapfile -t names < <(docker network ls --filter "label=warren.stack=$PREFIX" --format '{{.Name}}')
	[[ ${#names[@]} -eq 0 ]] || step "${names[*]}" docker network rm "${names[@]}"
}

purge() {
	docker volume rm --force "$RABBITMQ_VOLUME"
	if [[ $EXPORTS_DIR == */* ]]; then
		rm -f "$EXPORTS_DIR"/*.{csv,part}
		[[ ! -d $EXPORTS_DIR ]] || rmdir --ignore-fail-on-non-empty "$EXPORTS_DIR"
	else
		docker volume rm --force "$EXPORTS_DIR"
	fi
	if [[ $DB_DIR == */* ]]; then
		rm -f "$DB_DIR"/backend.db*
	else
		docker volume rm --force "$DB_DIR"
	fi
	rm -f "$SECRETS_DIR"/{publisher,worker,monitor}_password "$SECRETS_DIR"/{rabbitmq_definitions.json,smtp_url}
	[[ ! -d $SECRETS_DIR ]] || rmdir --ignore-fail-on-non-empty "$SECRETS_DIR"
}

main "$@"
