#!/usr/bin/env bash
# Remove a contestant's stack, with its data.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/ownership.sh
source "$WARREN_DIR/ops/ownership.sh"

usage() {
	cat <<-HELP
		Usage: PREFIX=... DB_DIR=... bench/contestants/remove.sh

		Removes the containers, network and data of the stack $PREFIX at once: nothing is finished first. For stacks
		that bench/contestants/build.sh or bench/textbook/build.sh has started; Warren itself has ./stop.sh.
	HELP
}

main() {
	help_if_asked "$@"
	[[ $# -eq 0 ]] || die "unknown argument: $1" 'See: bench/contestants/remove.sh --help'
	require_docker
	check_owner DB_DIR
	local containers networks
	# shellcheck disable=SC2119  # containers of every role
	mapfile -t containers < <(containers_of)
	mapfile -t networks < <(networks_of)
	if ((${#containers[@]})); then docker rm --force --volumes "${containers[@]}"; fi
	if ((${#networks[@]})); then docker network rm "${networks[@]}"; fi
	if owned "$DB_DIR"; then remove_data; fi
}

remove_data() {
	if [[ $DB_DIR == */* ]]; then rm -rf --one-file-system "$DB_DIR"; else docker volume rm "$DB_DIR"; fi
}

main "$@"
