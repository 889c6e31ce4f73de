#!/usr/bin/env bash
# Copy the ledger, the exported files and the secrets of the stack into one file, while jobs run.
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

KEEP=7
container=${PREFIX}_backup_container

usage() {
	cat <<-HELP
		Usage: ops/backup.sh [FOLDER] [--keep N]

		Makes a backup of the stack $PREFIX in FOLDER ($WARREN_DIR/backups/$PREFIX):
		one file $PREFIX-DATE.tar.gz with the ledger, the exported files and the secrets. Jobs go on meanwhile. Every
		job that was accepted before it began is in it. The file is opened again and its ledger is checked before it
		gets its name. Only you can read it, for there are passwords in it: keep it in a safe place, on another machine.

		  --keep N  remove the oldest backups of this stack in FOLDER if there are more than N of them ($KEEP); 0 keeps all

		Examples:
		  ops/backup.sh
		  ops/backup.sh /mnt/backups --keep 30
		  PREFIX=demo DB_DIR=db/demo ops/backup.sh    give the settings with which you built the stack

		To restore one: ops/restore.sh FILE
	HELP
}

main() {
	local folder='' keep=$KEEP file
	help_if_asked "$@"
	while [[ $# -gt 0 ]]; do
		case $1 in
		--keep)
			keep=${2-}
			shift $(($# > 1 ? 2 : 1))
			continue
			;;
		-*) die "unknown option: $1" 'See: ops/backup.sh --help' ;;
		esac
		[[ -z $folder && -n $1 ]] || die "not one folder: $*" 'See: ops/backup.sh --help'
		folder=$1
		shift
	done
	[[ $keep =~ ^(0|[1-9][0-9]{0,4})$ ]] || die "not a number of backups: $keep" 'Give a whole number; 0 keeps all.'
	folder=$(realpath --canonicalize-missing "${folder:-$WARREN_DIR/backups/$PREFIX}")
	require_docker
	if own_postgres; then require_running "$POSTGRES_CONTAINER"; fi
	image_exists "${PREFIX}_flask" || die "there is no image ${PREFIX}_flask" 'Build the stack first: ./build.sh'
	check_place DB_DIR
	check_place EXPORTS_DIR
	check_place SECRETS_DIR
	make_folder "$folder"
	take_lock backup || die "another script is at work on a backup of the stack $PREFIX" \
		'Wait until it is done, then run this again.'

	file=$folder/$PREFIX-$(date --utc +%Y%m%dT%H%M%SZ).tar.gz
	work=$folder/$PREFIX.part
	trap clean_up EXIT
	trap 'exit 130' INT TERM
	clean_up # after a run that was killed
	mkdir --mode=700 "$work"
	give_to_containers "$work"
	step 'ledger, files and secrets are copied, packed, and opened again' run_backup "$work"
	cat "$work/contents"
	finish "$work/backup.tar.gz" "$file"
	printf '%s: %s\n' "$(du --human-readable --apparent-size "$file" | cut --fields 1)" "$file"
	remove_oldest "$folder" "$keep"
}

# check_place SETTING: Docker would make a folder that is not there.
check_place() {
	local place=${!1}
	[[ $place != */* || -d $place ]] || die "the stack $PREFIX has no folder $place" \
		'Give the settings with which you built it, such as: PREFIX=demo DB_DIR=db/demo ops/backup.sh'
	check_owner "$1"
}

# make_folder FOLDER: for this user alone, unless it is there.
make_folder() {
	(umask 077 && mkdir --parents "$1") 2>/dev/null || true
	[[ -d $1 && -w $1 ]] || die "$(id -un) cannot write to $1" 'Choose another folder: ops/backup.sh FOLDER'
}

# run_backup FOLDER
run_backup() {
	describe_backup "$1"
	run_once "$container" >"$1/contents"
}

clean_up() {
	docker rm --force "$container" >/dev/null 2>&1 || true
	rm -rf "$work"
}

# finish FILE NAME: a backup gets its name when it is whole, on disk, and closed to others.
finish() {
	chmod 600 "$1"
	if [[ $EUID -eq 0 ]]; then chown 0:0 "$1"; fi
	sync "$1"
	mv "$1" "$2"
	sync "$(dirname "$2")"
}

# remove_oldest FOLDER N: all but the newest N backups of this stack. Their names are in the order of their dates.
remove_oldest() {
	local backups=("$1/$PREFIX"-????????T??????Z.tar.gz)
	if (($2 > 0 && ${#backups[@]} > $2)); then rm -- "${backups[@]:0:${#backups[@]}-$2}"; fi
}

main "$@"
