#!/usr/bin/env bash
# Take the ledger of the running stack from SQLite over to a PostgreSQL of its own, without losing a job.
#
# Until the switch, SQLite is the ledger: whatever goes wrong before, the stack goes on with it. The switch is one file that
# gets its name, database_url; after it, PostgreSQL is the ledger. So wherever a run is interrupted, there is one ledger,
# and ./build.sh starts the stack with it.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/ownership.sh
source "$WARREN_DIR/ops/ownership.sh"
# shellcheck source=ops/images.sh
source "$WARREN_DIR/ops/images.sh"
# shellcheck source=ops/containers.sh
source "$WARREN_DIR/ops/containers.sh"
# shellcheck source=ops/secrets.sh
source "$WARREN_DIR/ops/secrets.sh"

move_container=${PREFIX}_move_container

usage() {
	cat <<-HELP
		Usage: ops/move_ledger.sh

		Takes the ledger of the stack $PREFIX from SQLite over to PostgreSQL, in a container of the stack's own. It runs
		./build.sh first, and starts PostgreSQL beside the stack. Then the workers end or put back what they run. Then
		Flask stops, the jobs are copied and counted, and all starts again, with PostgreSQL. Every request is answered 503
		with Retry-After from the stop of Flask to its start; it says how long that was. No accepted job is lost.

		The SQLite file stays, under another name. If a run is interrupted, run it again.

		Examples:
		  ops/move_ledger.sh
		  PREFIX=demo DB_DIR=db/demo ops/move_ledger.sh    give the settings with which you built the stack
	HELP
}

main() {
	help_if_asked "$@"
	[[ $# -eq 0 ]] || die "unknown argument: $*" 'See: ops/move_ledger.sh --help'
	require_docker
	check_home
	case $LEDGER_BEFORE in
	sqlite:*) ;;
	'') die "there is no stack $PREFIX" 'Build it first: ./build.sh   With LEDGER=postgresql it begins with PostgreSQL.' ;;
	*)
		echo 'The ledger is in PostgreSQL already. If the stack does not run: ./build.sh'
		return
		;;
	esac
	# With the newest images and schema, and all well: so the move itself is short.
	LEDGER='' DATABASE_URL=$LEDGER_BEFORE "$WARREN_DIR/build.sh"
	only_one_at_a_time
	LEDGER=postgresql DATABASE_URL='' # what is described from here on
	step "image ${PREFIX}_postgres" build_image postgres
	step 'volume and password' make_place
	step "$POSTGRES_CONTAINER" start_postgres
	step 'an empty database' docker exec "$POSTGRES_CONTAINER" begin_copy
	step 'schema of the ledger' make_schema

	trap go_on EXIT
	trap 'exit 130' INT TERM
	find_users
	step "what uses the ledger ends: ${users[*]}" stop_containers "${users[@]}"
	stopped=$(now_ms)
	step "submissions are refused: $FLASK_CONTAINER stops" stop_containers "$FLASK_CONTAINER"
	counted=$(mktemp)
	step 'the jobs are copied and counted' copy
	step 'PostgreSQL is the ledger' switch
	trap - EXIT
	step "$FLASK_CONTAINER" start_flask
	tell_nginx check || true # Nginx looks by itself, too, after some seconds
	refused=$(($(now_ms) - stopped))
	step 'the SQLite file has another name' put_aside
	exec {lock}<&- # for build.sh
	"$WARREN_DIR/build.sh"
	tell
}

make_place() {
	claim "$POSTGRES_VOLUME"
	make_secrets
}

make_schema() {
	keep_secret database_url.new "$(ledger_address)"
	describe_migrate
	run_once "${PREFIX}_migrate_container"
}

# find_users: all containers that use SQLite's file, but Flask.
find_users() {
	mapfile -t users < <(docker ps --filter "label=warren.stack=$PREFIX" --filter volume=/db --format '{{.Names}}' |
		grep --invert-match --line-regexp --fixed-strings "$FLASK_CONTAINER")
}

stop_containers() { if [[ $# -gt 0 ]]; then docker stop "$@"; fi; }

# go_on: if the move fails before the switch.
go_on() {
	local names=("${users[@]}")
	docker rm --force "$move_container" >/dev/null 2>&1 || true
	if container_exists "$FLASK_CONTAINER"; then names=("$FLASK_CONTAINER" "${names[@]}"); fi
	docker start "${names[@]}" >/dev/null || true
	echo 'The ledger is still in SQLite, and the stack goes on with it. To try again: ops/move_ledger.sh' >&2
}

copy() {
	describe_move "${LEDGER_BEFORE#sqlite:///}"
	run_once "$move_container" >"$counted"
}

switch() {
	mv "$SECRETS_DIR/database_url.new" "$SECRETS_DIR/database_url"
	sync
	docker exec "$POSTGRES_CONTAINER" psql --quiet --command 'COMMENT ON DATABASE warren IS NULL'
}

# put_aside: the file, with its log if there is one.
put_aside() {
	# shellcheck disable=SC2016  # for the shell in the container
	describe_file_work bash -euc 'for end in "" -wal -shm; do if [[ -e $0$end ]]; then mv "$0$end" "$0.moved$end"; fi; done' \
		"${LEDGER_BEFORE#sqlite:///}"
	run_once "$move_container"
}

tell() {
	local jobs
	jobs=$(sed -n 's/^job: //p' "$counted")
	cat <<-TEXT

		The ledger is in PostgreSQL now, with ${jobs:-0} jobs. Submissions were refused for $((refused / 1000)).$((refused % 1000 / 100)) s.
		The earlier one is kept as ${LEDGER_BEFORE##*/}.moved in $DB_DIR
	TEXT
	rm "$counted"
}

main "$@"
