# shellcheck shell=bash
# The passwords of the stack, and addresses that may have a password in them: files in SECRETS_DIR, which only the
# user of the containers can read.
# Sourced after settings.sh and ops/lib.sh, never run.

BROKER_ROLES=(publisher worker monitor flower)

make_secrets() {
	local role user users=()
	chmod 700 "$SECRETS_DIR"
	for role in "${BROKER_ROLES[@]}"; do
		user=$(newest_user "$role")
		if [[ ! -s $SECRETS_DIR/${user}_password ]]; then keep_secret "${user}_password" "$(new_password)"; fi
		users+=("$user" "$(<"$SECRETS_DIR/${user}_password")")
	done
	keep_secret rabbitmq_definitions.json "$(definitions "${users[@]}")"
	if own_postgres; then
		user=$(newest_user ledger)
		if [[ ! -s $SECRETS_DIR/${user}_password ]]; then keep_secret "${user}_password" "$(new_password)"; fi
	fi
	if [[ -n $NODE ]]; then make_node_secrets; fi
	# The first two may have a password in them. Workers that are added later find here what build.sh was told.
	keep_if_given smtp_url "$SMTP_URL"
	keep_if_given notify_url "$NOTIFY_URL"
	keep_if_given notify_mail "$NOTIFY_MAIL"
	if [[ -n $NOTIFY_URL && ! -s $SECRETS_DIR/notify_secret ]]; then
		keep_secret notify_secret "$(new_notify_secret)"
	fi
	# By the first line the cookies of sessions are signed; the others were the first before.
	if [[ $AUTH == on && ! -s $SECRETS_DIR/session_keys ]]; then keep_secret session_keys "$(new_session_key)"; fi
	mkdir --parents "$SECRETS_DIR/tools" # what Nginx asks those for who look at the tools: see ops/tools.sh
	give_to_containers "$SECRETS_DIR" "$SECRETS_DIR/tools"
}

# ledger_address: where the ledger is, with a password in it if that needs one.
ledger_address() {
	local user
	if own_postgres; then
		user=$(newest_user ledger)
		printf 'postgresql+psycopg://%s:%s@%s/warren' "$user" "$(<"$SECRETS_DIR/${user}_password")" "$POSTGRES_HOST"
		# Of three servers, the one that leads
		if [[ -n $NODE ]]; then printf '?target_session_attrs=read-write&connect_timeout=2'; fi
	else
		printf '%s' "$DATABASE_URL"
	fi
}

# definitions USER PASSWORD...: what RabbitMQ is to know: queues, permissions, and one user for each role.
definitions() {
	local text role
	text=$(<"$WARREN_DIR/rabbitmq/definitions.json.template")
	while (($#)); do
		role=${1%%_*}
		text=${text//@${role^^}@/$1}
		text=${text//@${role^^}_HASH@/$(password_hash "$2")}
		shift 2
	done
	printf '%s\n' "$text"
}

# make_node_secrets: by which three machines know each other (ops/nodes.sh).
make_node_secrets() {
	local name
	for name in replication_password rewind_password patroni_password erlang_cookie; do
		if [[ ! -s $SECRETS_DIR/$name ]]; then keep_secret "$name" "$(new_password)"; fi
	done
}

# keep_if_given NAME TEXT: as a file of SECRETS_DIR; no file if the text is empty.
keep_if_given() {
	if [[ -n $2 ]]; then
		keep_secret "$1" "$2"
	else
		rm -f "$SECRETS_DIR/$1"
	fi
}

new_password() { head --bytes 24 /dev/urandom | basenc --base64url; }

new_session_key() { printf '%s%s' "$(new_password)" "$(new_password)"; }

# What notices are signed with, in the form of https://www.standardwebhooks.com
new_notify_secret() { printf 'whsec_%s' "$(head --bytes 32 /dev/urandom | base64 --wrap 0)"; }

# renew_session_key: one key is in each line; Flask signs with the first, and accepts the second, too. If it does not
# sign with the first yet, an earlier run was interrupted: one more key would push out the one that it signs with.
renew_session_key() {
	local file=$SECRETS_DIR/session_keys newest
	if [[ ! -s $file ]]; then
		echo 'There are none: nobody has to log in.'
		return
	fi
	read -r newest <"$file"
	if [[ $(docker exec "$FLASK_CONTAINER" head --lines 1 /run/secrets/session_keys) == "$newest" ]]; then
		keep_secret session_keys "$(new_session_key)"$'\n'"$newest"
	fi
}

# keep_secret NAME TEXT: as a file of SECRETS_DIR.
keep_secret() {
	local file=$SECRETS_DIR/$1
	# Replaced only if it changes, for containers that run have it mounted; and written under another name first, so
	# that an interrupted run leaves no half of it.
	if [[ ! -f $file || $(<"$file") != "$2" ]]; then
		(umask 077 && printf '%s\n' "$2" >"$file.part")
		mv "$file.part" "$file"
	fi
	give_to_containers "$file"
}

# RabbitMQ's form of a password: base64(salt + sha256(salt + password)). The salt follows from the password,
# which is random enough, so that the same password always gives the same definitions.
password_hash() {
	local salt digest
	salt=$(sha256sum <<<"$1" | head --bytes 8)
	digest=$({ basenc --decode --base16 <<<"${salt^^}" && printf '%s' "$1"; } | sha256sum | head --bytes 64)
	basenc --decode --base16 <<<"${salt^^}${digest^^}" | base64 --wrap 0
}

# give_to_containers FILE...: root's files would be closed to the containers, which run as another user then.
give_to_containers() {
	if [[ $EUID -eq 0 ]]; then chown "$WARREN_UID:$WARREN_GID" "$@"; fi
}
