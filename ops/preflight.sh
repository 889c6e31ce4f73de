# shellcheck shell=bash
# What build.sh looks at before it makes anything. Each check that fails ends it with one line and the remedy.
# Sourced after settings.sh and ops/lib.sh, never run.

MIN_DISK_MB=2000 # images of the first build, with room for the layers that are made on the way

preflight() {
	check_settings
	require_docker
	check_cluster
	check_owner DB_DIR
	check_owner EXPORTS_DIR
	check_owner SECRETS_DIR
	check_ledger_stays
	check_port PORT 8080
	if [[ -n $HTTP_PORT ]]; then check_port HTTP_PORT 8082; fi
	check_disk
	check_folders
	check_file_system "$(file_system_of "$DB_DIR")" "$DB_DIR"
}

check_settings() {
	local name
	[[ $PREFIX =~ ^[a-z0-9][a-z0-9_.-]{0,30}$ ]] || die "PREFIX=$PREFIX cannot start a Docker name" \
		'Use small letters, digits, _ . and -, at most 31 of them.'
	for name in PORT WEB_PROCESSES WEB_THREADS WEB_STREAMS CELERY_CONCURRENCY CELERY_PREFETCH BACKLOG_LIMIT MAX_DELIVERIES \
		WORKER_LEASE RESULT_EXPIRES EXPORT_EXPIRES SESSION_LIFETIME STREAMS_PER_PERSON AUDIT_EXPIRES PIDS_LIMIT POSTGRES_CONNECTIONS STOP_TIMEOUT HEALTH_TIMEOUT; do
		[[ ${!name} =~ ^[1-9][0-9]*$ ]] || die "$name=${!name} is not a whole number above 0" "Correct $name, or unset it."
	done
	for name in CLIENT_REQUESTS CLIENT_CONNECTIONS TOKEN_SUBMISSIONS; do
		[[ ${!name} =~ ^(0|[1-9][0-9]{0,5})$ ]] || die "$name=${!name} is not a number from 0 to 999999" \
			"Correct $name, or unset it; 0 is no limit."
	done
	((PORT <= 65535)) || die "PORT=$PORT is not a port" 'Use a number from 1 to 65535.'
	[[ $AUTH == on || $AUTH == off ]] || die "AUTH=$AUTH is neither on nor off" 'Correct AUTH, or unset it.'
	# Not repeated in the message: there may be a password in it.
	[[ -z $SMTP_URL || $SMTP_URL =~ ^smtps?://([^/@[:space:]]*@)?[A-Za-z0-9_.-]+(:[0-9]{1,5})?/?$ ]] ||
		die 'SMTP_URL is not the address of a mail server' \
			'Write smtp://user:password@host:port or smtps://..., with %40 for an @ in the password and so on.'
	check_ledger
	check_hosts
	check_notices
	check_tls
	check_queues "$CELERY_QUEUES"
}

check_ledger() {
	[[ $LEDGER == sqlite || $LEDGER == postgresql ]] || die "LEDGER=$LEDGER is neither sqlite nor postgresql" 'Correct LEDGER, or unset it.'
	# Not repeated in the message: there may be a password in it.
	[[ -z $DATABASE_URL || $DATABASE_URL =~ ^(sqlite:///[^[:space:]]+|postgresql(\+psycopg)?://[^[:space:]]+/[^[:space:]]+)$ ]] ||
		die 'DATABASE_URL is not the address of a database' \
			'Write sqlite:////db/backend.db or postgresql+psycopg://user:password@host/database, with %40 for an @ in the password and so on.'
	[[ -z $DATABASE_URL || $DATABASE_URL == "$LEDGER"* ]] || die "LEDGER=$LEDGER does not fit DATABASE_URL" 'Unset one of them.'
}

# check_ledger_stays: refuse to begin with another ledger than the one that has the jobs of the stack.
check_ledger_stays() {
	local before now volume
	before=$(place_of "$LEDGER_BEFORE")
	now=$(place_of "${DATABASE_URL:-postgresql://$POSTGRES_HOST/warren}")
	# Without the secrets, the data itself tells.
	if [[ -z $before && $LEDGER == postgresql && $DB_DIR == */* && -s $DB_DIR/backend.db ]]; then
		die "the ledger $DB_DIR/backend.db is there, and LEDGER or DATABASE_URL asks for another" \
			'To take its jobs along: LEDGER=sqlite ./build.sh   and then: ops/move_ledger.sh
To begin without them: move that file away.'
	fi
	volume=$(docker volume ls --quiet --filter "name=^$POSTGRES_VOLUME\$")
	if [[ -z $before && $LEDGER == sqlite && -n $volume ]]; then
		die "the volume $POSTGRES_VOLUME has a ledger in PostgreSQL, and LEDGER is sqlite" \
			"To go on with it: LEDGER=postgresql ./build.sh   To remove it, with all its jobs: docker volume rm $POSTGRES_VOLUME"
	fi
	[[ -z $before || $before == "$now" ]] || die "the jobs of the stack $PREFIX are in $before, not in $now" \
		"To go on with them: set neither LEDGER nor DATABASE_URL.
To take them from SQLite to PostgreSQL: ops/move_ledger.sh   To remove them: ./stop.sh --purge
If you have moved them yourself: rm $SECRETS_DIR/database_url"
	if [[ -n $before && -z $volume ]] && own_postgres; then
		die "the volume $POSTGRES_VOLUME, which had the ledger, is gone" \
			"To begin with an empty ledger: rm $SECRETS_DIR/database_url   and then: LEDGER=postgresql ./build.sh"
	fi
}

# place_of ADDRESS: which database that is, without the user and the password.
place_of() { sed --regexp-extended 's,^(postgresql)(\+psycopg)?://([^/]*@)?([^?]*).*,\1://\4,' <<<"$1"; }

check_hosts() {
	local label='[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?'
	[[ -z $HOSTS || $HOSTS =~ ^$label(\.$label)*(,\ ?$label(\.$label)*)*$ ]] || die "HOSTS=$HOSTS is not a list of names" \
		'Write names with commas between them, without scheme, port and path: HOSTS=warren.example.com,jobs.example.com'
}

# The address is not repeated in the messages: there may be a token in it.
check_notices() {
	local address='[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+'
	if [[ -n $NOTIFY_URL ]]; then
		[[ $NOTIFY_URL =~ ^https?://[A-Za-z0-9_.-]+(:([1-9][0-9]{0,4}))?([/?][^[:space:]]*)?$ ]] ||
			die 'NOTIFY_URL is not the address of a web server' \
				'Write https://host/path or http://host:port/path. It takes no user and password; a token can be in the path.'
		((${BASH_REMATCH[2]:-80} <= 65535)) || die 'the port in NOTIFY_URL is above 65535' 'Correct NOTIFY_URL, or unset it.'
	fi
	if [[ -n $NOTIFY_MAIL ]]; then
		[[ $NOTIFY_MAIL =~ ^$address(, ?$address)*$ ]] || die "NOTIFY_MAIL=$NOTIFY_MAIL is not a list of mail addresses" \
			'Write addresses with commas between them: NOTIFY_MAIL=oncall@example.com,ops@example.com'
		[[ -n $SMTP_URL ]] || die 'NOTIFY_MAIL needs a mail server' \
			'Say which one sends the mails: SMTP_URL=smtp://user:password@host:port'
	fi
}

# What openssl has to look at comes later, when there is an image that has it: see ops/tls.sh.
check_tls() {
	local name
	[[ $TLS == on || $TLS == off ]] || die "TLS=$TLS is neither on nor off" 'Correct TLS, or unset it.'
	[[ -n $TLS_CERT || -z $TLS_KEY ]] || die 'TLS_KEY is given without TLS_CERT' 'Give both, or none of them.'
	[[ -n $TLS_KEY || -z $TLS_CERT ]] || die 'TLS_CERT is given without TLS_KEY' 'Give both, or none of them.'
	for name in TLS_CERT TLS_KEY; do
		if [[ -z ${!name} ]]; then continue; fi
		[[ -f ${!name} ]] || die "$name: there is no file ${!name}" "Correct $name, or unset TLS_CERT and TLS_KEY."
		[[ -r ${!name} ]] || die "$name: $(id -un) cannot read ${!name}" 'Let its owner run this, or root.'
	done
	if [[ -n $HTTP_PORT ]]; then
		[[ $TLS == on ]] || die 'HTTP_PORT sends people on to TLS, but TLS is off' 'Set TLS=on, or unset HTTP_PORT.'
		[[ $HTTP_PORT =~ ^[1-9][0-9]*$ && $HTTP_PORT -le 65535 && $HTTP_PORT != "$PORT" ]] ||
			die "HTTP_PORT=$HTTP_PORT is not another port beside PORT=$PORT" 'Use a number from 1 to 65535.'
	fi
	if [[ -n $ACME_DIR ]]; then
		[[ -n $HTTP_PORT ]] || die 'ACME_DIR is shown at HTTP_PORT, which is not set' 'Set HTTP_PORT=80, or unset ACME_DIR.'
		[[ -d $ACME_DIR ]] || die "ACME_DIR: there is no folder $ACME_DIR" "Make it: mkdir -p $ACME_DIR"
	fi
}

# check_port SETTING PORT_INSIDE: a port is free if nobody answers there, or if it is ours already.
check_port() {
	local wanted=${!1} address=$BIND_ADDRESS name
	if [[ $address == 0.0.0.0 ]]; then address=127.0.0.1; fi
	for name in "$PORT_CONTAINER" "$NGINX_CONTAINER"; do # Nginx: in version 1.0
		if docker port "$name" "$2/tcp" 2>/dev/null | grep --quiet --line-regexp --fixed-strings "$BIND_ADDRESS:$wanted"; then return; fi
	done
	if (exec 3<>"/dev/tcp/$address/$wanted") 2>/dev/null; then
		die "port $wanted on $address is in use by another program" \
			"Stop that one, or choose another port: $1=$((wanted + 10)) ./build.sh"
	fi
}

check_disk() {
	local root free
	if image_exists "${PREFIX}_rabbitmq"; then return; fi
	root=$(docker info --format '{{.DockerRootDir}}')
	# The engine may live in a virtual machine, where its folder is none of ours, or be closed to us.
	free=$(df --portability --block-size=1M "$root" 2>/dev/null || df --portability --block-size=1M /)
	free=$(awk 'END { print $4 }' <<<"$free")
	((free >= MIN_DISK_MB)) || die "only $free MB are free for Docker's images in $root; the first build needs $MIN_DISK_MB MB" \
		'Make room, for instance with: docker system prune'
}

check_folders() {
	local folder existing
	for folder in "$DB_DIR" "$EXPORTS_DIR" "$SECRETS_DIR"; do
		if [[ $folder != */* ]]; then continue; fi # a Docker volume
		existing=$(existing_part "$folder")
		[[ -d $existing && -w $existing && -x $existing ]] || die "$(id -un) cannot write to $existing" \
			"Run: sudo chown -R $(id -u):$(id -g) $existing   (it may stem from a run as root; then go on as root)"
	done
}

# existing_part FOLDER: the folder itself, or the nearest one above it that exists.
existing_part() {
	local folder=$1
	while [[ ! -e $folder ]]; do folder=$(dirname "$folder"); done
	printf '%s' "$folder"
}

# file_system_of FOLDER: the type of the file system where it is, or where it is going to be. Nothing for a
# Docker volume, which is on the engine's own disk.
file_system_of() {
	if [[ $1 == */* ]]; then findmnt --noheadings --output FSTYPE --target "$(existing_part "$1")"; fi
}

# file_system_inside FOLDER: its type as a container sees it. Docker Desktop shares the folders of the real
# machine with a virtual one, which cannot be seen from outside.
file_system_inside() {
	if [[ $1 == */* ]]; then
		docker run --rm --network none --volume "$(existing_part "$1"):/db:ro" "$BASE" \
			findmnt --noheadings --output FSTYPE --target /db
	fi
}

# SQLite's write-ahead log is shared memory: it needs one kernel, and a file system that knows it.
check_file_system() {
	if [[ $LEDGER == postgresql ]]; then return; fi
	case $1 in
	nfs* | cifs | smb* | 9p | virtiofs | fuse* | fakeowner | drvfs | vboxsf | vmhgfs | prl_fs | ceph | glusterfs | lustre | gfs2 | ocfs2 | afs)
		die "$2 is on a $1 file system, where SQLite would lose data" \
			'Keep the ledger in a Docker volume: DB_DIR=warren_ledger ./build.sh   (a name without a slash), or in PostgreSQL: LEDGER=postgresql ./build.sh'
		;;
	esac
}
