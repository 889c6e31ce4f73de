#!/usr/bin/env bash
# Put a backup in the place of the ledger, the exported files and the secrets of the stack.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/ownership.sh
source "$WARREN_DIR/ops/ownership.sh"
# shellcheck source=ops/containers.sh
source "$WARREN_DIR/ops/containers.sh"
# shellcheck source=ops/secrets.sh
source "$WARREN_DIR/ops/secrets.sh"

usage() {
	cat <<-HELP
		Usage: ops/restore.sh FILE [--yes] [--without-backup]

		Brings back a backup that ops/backup.sh has made. It checks the backup, tells what it will replace, and asks.
		Then it stops the containers that use the ledger, backs up what is there, replaces it, and runs ./build.sh. Jobs
		that waited or ran at the moment of the backup run. What has happened since then is forgotten.

		  --yes             do not ask
		  --without-backup  do not back up what is there before it is replaced: if it is broken, or needs too much room

		On a new machine, or for another PREFIX, run ./build.sh first. Settings are not in a backup: give all that you
		need, such as SMTP_URL, with both commands. If a restore was interrupted, run it again.

		Examples:
		  ops/restore.sh backups/$PREFIX/$PREFIX-20261121T030000Z.tar.gz
		  PREFIX=copy PORT=8010 DB_DIR=db/copy ops/restore.sh FILE    into a second stack, beside the first
	HELP
}

main() {
	local file='' yes=false backup=true argument
	help_if_asked "$@"
	for argument in "$@"; do
		case $argument in
		--yes) yes=true ;;
		--without-backup) backup=false ;;
		-*) die "unknown option: $argument" 'See: ops/restore.sh --help' ;;
		*)
			[[ -z $file ]] || die "more than one file: $*" 'See: ops/restore.sh --help'
			file=$argument
			;;
		esac
	done
	[[ -n $file ]] || die 'no file is given' 'See: ops/restore.sh --help'
	[[ -f $file && -r $file ]] || die "$(id -un) cannot read a file $file" "Look at what there is: ls -l $WARREN_DIR/backups/$PREFIX"
	require_docker
	refuse_on_three 'a backup is brought back into a stack of one machine'
	if own_postgres; then require_running "$POSTGRES_CONTAINER"; fi
	check_home
	check_owner DB_DIR
	check_owner EXPORTS_DIR
	check_owner SECRETS_DIR
	image_exists "${PREFIX}_flask" || die "there is no image ${PREFIX}_flask, which opens the backup" \
		'Build the stack first: ./build.sh   (where Docker is not installed, as root: ./build.sh --install)'
	only_one_at_a_time

	contents=$(mktemp)
	trap 'rm "$contents"' EXIT
	step 'folders' make_places
	step "$file is opened and checked" run_restore "$file" --check
	announce "$file" "$backup"
	if [[ $yes == false ]]; then ask; fi
	mapfile -t users < <(docker ps --filter "label=warren.stack=$PREFIX" --filter volume=/db --format '{{.Names}}')
	step "what uses the ledger is stopped: ${users[*]}" stop_users
	if [[ $backup == true ]] && ledger_is_there; then
		"$WARREN_DIR/ops/backup.sh" --keep 0 ||
			die 'what is there cannot be backed up, so it was not replaced' \
				'To start it again as it is: ./build.sh   To replace it all the same: ops/restore.sh FILE --without-backup'
	fi
	step 'RabbitMQ begins empty' remove_messages
	step 'ledger, files and secrets are replaced' run_restore "$file"
	exec {lock}<&- # for build.sh
	"$WARREN_DIR/build.sh"
	start_other_users
}

# What build.sh makes, too, if it is not there.
make_places() {
	claim "$SECRETS_DIR"
	claim "$DB_DIR"
	claim "$EXPORTS_DIR"
	chmod 700 "$SECRETS_DIR"
	if [[ ! -f $SECRETS_DIR/database_url ]]; then keep_secret database_url "$(ledger_address)"; fi
	give_to_containers "$SECRETS_DIR"
	if [[ $DB_DIR == */* ]]; then give_to_containers "$DB_DIR"; fi
	if [[ $EXPORTS_DIR == */* ]]; then give_to_containers "$EXPORTS_DIR"; fi
}

# run_restore FILE [--check]
run_restore() {
	local file=$1
	shift
	describe_restore "$@"
	run_once "${PREFIX}_restore_container" --interactive <"$file" >"$contents"
}

# announce FILE BACKUP
announce() {
	cat <<-TEXT

		The backup $1 has:
		  $(<"$contents")

		It replaces, of the stack $PREFIX:
		  the ledger in         $(where_it_is)
		  the exported files in $EXPORTS_DIR
		  the secrets in        $SECRETS_DIR
		  all messages in RabbitMQ: they are made again from the ledger
	TEXT
	if [[ $2 == false ]]; then echo 'What is there is not backed up first.'; fi
	echo 'What has happened since then is forgotten: jobs that have ended since run again.'
	if [[ -n $SMTP_URL ]]; then
		echo 'They send again the mails that they have sent since then.'
	else
		echo 'SMTP_URL is empty: jobs that send mails only record them.'
	fi
	echo
}

# where_it_is: without the password that may be in an address.
where_it_is() {
	if own_postgres; then
		printf 'PostgreSQL, volume %s' "$POSTGRES_VOLUME"
	elif far_postgres; then
		printf 'PostgreSQL, elsewhere'
	else
		printf '%s' "$DB_DIR"
	fi
}

ask() {
	local answer=''
	read -r -p 'Replace it? [y/N] ' answer || echo
	[[ $answer == [yY]* ]] || die 'nothing was replaced' 'To replace it without a question: --yes'
}

# Stopped, not removed: so build.sh starts workers that were added, too. Nginx stays, and says that Flask is not there.
stop_users() { if [[ ${#users[@]} -gt 0 ]]; then docker stop "${users[@]}"; fi; }

# What build.sh does not know of, because it is off until asked for.
start_other_users() {
	local name
	for name in "${users[@]}"; do
		if container_exists "$name" && ! container_running "$name"; then docker start "$name"; fi
	done
}

# Messages about jobs that the backup does not know would make workers run them.
remove_messages() {
	remove "$RABBITMQ_CONTAINER"
	docker volume rm --force "$RABBITMQ_VOLUME"
}

# On a new machine there is no ledger, and nothing to back up.
ledger_is_there() {
	if [[ $LEDGER == postgresql ]]; then return; fi
	describe_restore
	docker run --rm "${arguments[@]}" "$image" test -s "${DATABASE_URL#sqlite:///}" </dev/null
}

main "$@"
