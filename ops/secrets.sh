# shellcheck shell=bash
# The passwords of the stack: made once, kept in SECRETS_DIR as files that only the containers' user can read.
# Sourced after settings.sh and ops/lib.sh, never run.

BROKER_USERS=(publisher worker monitor)

make_secrets() {
	local user file definitions
	umask 077
	definitions=$(<"$WARREN_DIR/rabbitmq/definitions.json.template")
	for user in "${BROKER_USERS[@]}"; do
		file=$SECRETS_DIR/${user}_password
		# Written under another name first: an interrupted run leaves no empty password.
		[[ -s $file ]] || { head --bytes 24 /dev/urandom | basenc --base64url >"$file.part" && mv "$file.part" "$file"; }
		definitions=${definitions//@${user^^}_HASH@/$(password_hash "$(<"$file")")}
	done
	file=$SECRETS_DIR/rabbitmq_definitions.json
	# Replaced only if it changes: the running broker has this file mounted.
	[[ -f $file && $(<"$file") == "$definitions" ]] || { printf '%s\n' "$definitions" >"$file.part" && mv "$file.part" "$file"; }
	give_to_containers "$SECRETS_DIR" "$SECRETS_DIR"/*_password "$file"
	keep_smtp_url
}

# The address of the mail server has a password in it, so workers get it as a file; none without a server.
keep_smtp_url() {
	local file=$SECRETS_DIR/smtp_url
	if [[ -z $SMTP_URL ]]; then
		rm -f "$file"
	elif [[ ! -f $file || $(<"$file") != "$SMTP_URL" ]]; then
		printf '%s\n' "$SMTP_URL" >"$file.part" && mv "$file.part" "$file"
		give_to_containers "$file"
	fi
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
give_to_containers() { [[ $EUID -ne 0 ]] || chown "$WARREN_UID:$WARREN_GID" "$@"; }
