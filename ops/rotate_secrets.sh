#!/usr/bin/env bash
# Make new passwords and keys for the running stack, without losing a job or a request.
#
# At no moment is there a container whose password is not good. RabbitMQ gets new users beside the earlier ones, and so does
# the stack's own PostgreSQL. Only then do they get files, so that each container that starts from now on finds a good one. The
# containers are renewed one after the other, and those that are not renewed yet go on with their own file. At the end
# the earlier users are removed. Wherever a run is interrupted, the next one makes new users once more, and removes all
# others.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/tools.sh
source "$WARREN_DIR/ops/tools.sh"
# shellcheck source=ops/cluster.sh
source "$WARREN_DIR/ops/cluster.sh"

NAMES=(broker ledger session_keys tools notify_secret)

usage() {
	cat <<-HELP
		Usage: ops/rotate_secrets.sh [NAME...]

		Makes new secrets for the running stack $PREFIX: all but the last one, or those that are named. Jobs and requests
		go on meanwhile. Workers are renewed one after the other; what a worker still runs 10 s before STOP_TIMEOUT
		($STOP_TIMEOUT s) is over is put back, and runs again. If it was interrupted, run it again.

		  broker         the passwords of all users of RabbitMQ
		  ledger         the password of the ledger, if it is in the stack's own PostgreSQL
		  session_keys   what sessions are signed with. People stay logged in, unless it is renewed twice
		  tools          the passwords of Prometheus, Flower and RabbitMQ's page, as far as they run; shown once
		  notify_secret  what notices are signed with; only if it is named, because their receiver has to know it

		Passwords of other servers, in DATABASE_URL, SMTP_URL or NOTIFY_URL, are changed there: see docs/security.md.

		Examples:
		  ops/rotate_secrets.sh
		  ops/rotate_secrets.sh broker
		  PREFIX=demo DB_DIR=db/demo ops/rotate_secrets.sh    give the settings with which you built the stack
	HELP
}

main() {
	help_if_asked "$@"
	choose "$@"
	require_running "$RABBITMQ_CONTAINER"
	check_home
	docker exec "$RABBITMQ_CONTAINER" test -e /usr/local/bin/learn_definitions ||
		die 'the stack was built before its passwords could be renewed' 'Renew it with: ./build.sh'
	refuse_on_three 'the passwords of three machines cannot be renewed'
	if chosen broker ledger; then check_nobody_is_elsewhere 'workers on other machines would be locked out'; fi
	only_one_at_a_time
	check_settings

	if chosen broker; then step 'RabbitMQ has new users, beside the earlier ones' add_users; fi
	if chosen ledger; then step 'PostgreSQL has a new user, beside the earlier one' add_ledger_user; fi
	if chosen session_keys; then step 'a new key signs sessions, and the last one is still good' renew_session_key; fi
	if chosen notify_secret; then step 'a new secret signs notices' keep_secret notify_secret "$(new_notify_secret)"; fi
	if chosen broker ledger session_keys notify_secret; then renew_containers; fi
	if chosen broker; then step 'RabbitMQ lets the earlier users in no longer' remove_earlier_users; fi
	if chosen ledger; then step 'PostgreSQL lets the earlier user in no longer' remove_earlier_ledger_user; fi
	if chosen tools; then renew_passwords_of_tools; fi
	tell_what_is_left
}

# choose NAME...: what is to be renewed, in `names`.
choose() {
	local name
	names=("$@")
	if [[ $# -eq 0 ]]; then
		names=(broker session_keys tools)
		if own_postgres; then names+=(ledger); fi
	fi
	for name in "${names[@]}"; do
		[[ " ${NAMES[*]} " == *" $name "* ]] || die "unknown name: $name" "The names are: ${NAMES[*]}. See: ops/rotate_secrets.sh --help"
	done
	if chosen ledger && ! own_postgres; then
		die 'the ledger is not in a PostgreSQL of the stack itself' 'With SQLite it has no password. That of another server is changed there.'
	fi
	if chosen notify_secret && [[ ! -s $SECRETS_DIR/notify_secret ]]; then
		die 'notices are not signed, so there is no notify_secret' 'A ./build.sh with NOTIFY_URL makes one.'
	fi
}

# check_settings: renewed containers would get the settings of now. With others than at ./build.sh this would, for
# instance, switch the login off.
check_settings() {
	describe_flask
	check_environment "$FLASK_CONTAINER"
	describe_beat
	check_environment "$BEAT_CONTAINER"
	describe_worker "$CELERY_CONTAINER" "$CELERY_QUEUES" "$CELERY_CONCURRENCY"
	check_environment "$CELERY_CONTAINER"
}

# check_environment NAME: is the container's environment as described? But for the users, which change here.
check_environment() {
	local argument has
	if ! container_exists "$1"; then return; fi
	has=$(docker container inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$1")
	for argument in "${arguments[@]}"; do
		if [[ ! $argument =~ ^[A-Z_]+= || $argument =~ ^[A-Z]+_USER= ]]; then continue; fi
		grep --quiet --line-regexp --fixed-strings -- "$argument" <<<"$has" ||
			die "$1 was made with another setting than $argument" \
				'Give the settings with which you built the stack. Or renew it with those of now first: ./build.sh'
	done
}

# chosen NAME...: is one of these to be renewed?
chosen() {
	local name
	for name in "$@"; do
		if [[ " ${names[*]} " == *" $name "* ]]; then return; fi
	done
	return 1
}

# --- RabbitMQ ------------------------------------------------------------------------------------

add_users() {
	local role user password users=()
	for role in "${BROKER_ROLES[@]}"; do
		users+=("$(next_user "$role")" "$(new_password)")
	done
	definitions "${users[@]}" | teach_rabbitmq
	set -- "${users[@]}"
	while (($#)); do
		keep_secret "$1_password" "$2"
		shift 2
	done
	# What a RabbitMQ that starts from now on reads
	keep_secret rabbitmq_definitions.json "$(definitions "${users[@]}")"
}

# next_user ROLE: publisher_2 after publisher, publisher_3 after publisher_2.
next_user() {
	local number
	number=$(newest_user "$1")
	number=${number#"$1"}
	number=${number#_}
	printf '%s_%d' "$1" $((${number:-1} + 1))
}

# All but the newest of each role. What they are still connected with, RabbitMQ closes.
remove_earlier_users() {
	local role user known newest=()
	for role in "${BROKER_ROLES[@]}"; do newest+=("$(newest_user "$role")"); done
	known=$(docker exec "$RABBITMQ_CONTAINER" rabbitmqctl --silent list_users | cut --fields 1)
	for user in $known; do
		if is_earlier "$user"; then docker exec "$RABBITMQ_CONTAINER" rabbitmqctl --quiet delete_user "$user"; fi
	done
	for role in "${BROKER_ROLES[@]}"; do
		for user in $(users_of "$role"); do
			if is_earlier "$user"; then rm "$SECRETS_DIR/${user}_password"; fi
		done
	done
}

# is_earlier USER: one that this script or ./build.sh has made, and that is none of `newest`.
is_earlier() {
	[[ $1 =~ ^([a-z]+)(_[0-9]+)?$ && " ${BROKER_ROLES[*]} " == *" ${BASH_REMATCH[1]} "* && " ${newest[*]} " != *" $1 "* ]]
}

# --- PostgreSQL ----------------------------------------------------------------------------------

add_ledger_user() {
	local user password
	user=$(next_user ledger)
	password=$(new_password)
	teach_postgres "$user" "$password"
	keep_secret "${user}_password" "$password"
	keep_secret database_url "$(ledger_address)"
}

remove_earlier_ledger_user() {
	local user newest
	newest=$(newest_user ledger)
	docker exec "$POSTGRES_CONTAINER" forget_users "$newest"
	for user in $(users_of ledger); do
		if [[ $user != "$newest" ]]; then rm "$SECRETS_DIR/${user}_password"; fi
	done
}

# --- the others ----------------------------------------------------------------------------------

# A tool that does not run has no password: its next start makes one.
renew_passwords_of_tools() {
	local tool
	for tool in "${TOOLS[@]}"; do
		if [[ -s $(password_file "$tool") ]]; then admit "$tool" --new-password; fi
	done
}

# Those that have the new secrets already are left alone. Workers one by one, so that the others run the jobs.
renew_containers() {
	local lines line name queues concurrency
	step "$FLASK_CONTAINER" start_flask
	step "$BEAT_CONTAINER" start_beat
	mapfile -t lines < <(workers)
	for line in "${lines[@]}"; do
		read -r name queues concurrency <<<"$line"
		step "$name" start_worker "$name" "$queues" "$concurrency"
	done
	renew_tools
}

# tell_what_is_left: what this script cannot do. Only names of files are shown, for their text may be secret.
tell_what_is_left() {
	local file
	echo
	if chosen notify_secret; then printf 'Give the receiver of notices the new secret: %s\n' "$SECRETS_DIR/notify_secret"; fi
	for file in database_url smtp_url notify_url; do
		if [[ $file == database_url ]] && ! far_postgres; then continue; fi
		if [[ -s $SECRETS_DIR/$file ]]; then
			printf '%s is the address of another server. If it has a password: change it there, then run ./build.sh with the new address.\n' "${file^^}"
		fi
	done
	echo 'Backups that were made before have the earlier secrets in them. After a restore from one of these, run this again.'
}

main "$@"
