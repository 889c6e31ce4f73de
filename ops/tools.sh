# shellcheck shell=bash
# The tools that are off until somebody starts them: Flower, Prometheus and RabbitMQ's own page. Each is a container of
# its own behind Nginx, at /flower/, /prometheus/ or /rabbitmq/, can only be looked at, and has a password of its own.
# Sourced after settings.sh and ops/lib.sh, never run.
#
# Nginx knows a tool by its name in the front network, and lets in who has the password in $SECRETS_DIR/tools/NAME. It
# looks for both when somebody asks, so a tool comes and goes without a reload.

# shellcheck source=ops/ownership.sh
source "$WARREN_DIR/ops/ownership.sh"
# shellcheck source=ops/images.sh
source "$WARREN_DIR/ops/images.sh"
# shellcheck source=ops/containers.sh
source "$WARREN_DIR/ops/containers.sh"
# shellcheck source=ops/secrets.sh
source "$WARREN_DIR/ops/secrets.sh"

TOOL_USER=operator

# run_tool ROLE "$@": what the scripts of the tools do.
run_tool() {
	local tool=$1
	shift
	help_if_asked "$@"
	case $* in
	start | 'start --new-password') ;;
	stop) ;;
	*) die "not start or stop: ${*:-nothing}" "See: ops/$tool.sh --help" ;;
	esac
	require_docker
	check_home
	if [[ $1 == start ]]; then require_running "$NGINX_CONTAINER"; fi
	only_one_at_a_time
	if [[ $1 == start ]]; then
		[[ -s $SECRETS_DIR/$(newest_user flower)_password && -d $SECRETS_DIR/tools ]] ||
			die 'the stack was built before there were tools' 'Renew it with: ./build.sh'
		build_tool "$tool"
		step "$(tool_container "$tool")" renew_tool "$tool"
		admit "$tool" "${2:-}"
		if [[ -e $WARREN_DIR/$tool/Dockerfile ]]; then step "what ${PREFIX}_$tool is made of" "$WARREN_DIR/ops/sbom.sh"; fi
	else
		# First the way in, then what is behind it
		rm -f "$(password_file "$tool")"
		if [[ -z $(containers_of "$tool") ]]; then printf 'It does not run.\n'; fi
		remove_role "$tool"
	fi
}

# --- the containers ------------------------------------------------------------------------------

# describe_tool ROLE IMAGE MEMORY: Nginx asks for it on port 8080, by a name that is the same in every stack.
describe_tool() {
	describe "$1" "$2" "$3" "$FRONT_NETWORK"
	arguments+=(--network-alias "$(tool_name "$1")")
	# shellcheck disable=SC2034  # read in ops/containers.sh
	second_network=$NETWORK
}

describe_prometheus() {
	local memory
	[[ $PROMETHEUS_RETENTION =~ ^[1-9][0-9]*[hdwy]$ ]] ||
		die "PROMETHEUS_RETENTION=$PROMETHEUS_RETENTION is not a time" 'Write 12h, 15d, 8w or 1y, for example.'
	[[ $PROMETHEUS_SIZE =~ ^[1-9][0-9]*[MGT]B$ ]] ||
		die "PROMETHEUS_SIZE=$PROMETHEUS_SIZE is not a size" 'Write 500MB or 1GB, for example.'
	memory=$(numfmt --from=iec "${PROMETHEUS_MEMORY^^}")
	describe_tool prometheus prometheus "$PROMETHEUS_MEMORY"
	arguments+=(
		--volume "$PROMETHEUS_VOLUME:/data"
		# Go frees memory earlier when it comes near to this.
		--env "GOMEMLIMIT=$((memory * 9 / 10))"
	)
	arguments+=(--env "URL=$(stack_url)")
	pass PREFIX PROMETHEUS_RETENTION PROMETHEUS_SIZE
}

describe_flower() {
	describe_tool flower flower "$FLOWER_MEMORY"
	arguments+=(--env "BROKER_HOST=$RABBITMQ_CONTAINER")
	broker_user flower broker
}

# The page is part of RabbitMQ, where Nginx cannot go. This container passes on what only shows something.
describe_rabbitmq_ui() {
	describe_tool rabbitmq_ui nginx "$NGINX_MEMORY"
	arguments+=(
		--env "BROKER_HOST=$RABBITMQ_CONTAINER"
		--mount "type=bind,source=$WARREN_DIR/rabbitmq_ui,target=/etc/warren,readonly"
	)
	broker_user monitor monitor
	config_files+=("$WARREN_DIR"/rabbitmq_ui/*)
}

# build_tool ROLE: its image, if it has one of its own.
build_tool() {
	if [[ -e $WARREN_DIR/$1/Dockerfile ]]; then step "image ${PREFIX}_$1" build_image "$1"; fi
}

# started_tools: the roles of those that have been started, one per line.
started_tools() {
	local tool
	for tool in "${TOOLS[@]}"; do
		if container_exists "$(tool_container "$tool")"; then printf '%s\n' "$tool"; fi
	done
}

renew_tools() {
	local tool
	for tool in $(started_tools); do step "$(tool_container "$tool")" renew_tool "$tool"; done
}

# renew_tool ROLE: start it, or renew it if it has changed.
renew_tool() {
	local name
	name=$(tool_container "$1")
	if [[ $1 == prometheus ]]; then claim "$PROMETHEUS_VOLUME"; fi
	"describe_$1"
	renew "$name"
}

tool_container() { printf '%s' "${PREFIX}_$1_container"; }

# tool_name ROLE: its name for Nginx, and in its address.
tool_name() { printf '%s' "${1%_ui}"; }

# --- who may look --------------------------------------------------------------------------------

password_file() { printf '%s' "$SECRETS_DIR/tools/$(tool_name "$1")"; }

# admit ROLE [--new-password]: open the way in. A password is shown once, when it is made: only its hash is kept.
admit() {
	local password
	printf '\n  %s/%s/\n' "$(stack_url)" "$(tool_name "$1")"
	if [[ $AUTH == on ]]; then
		keep_secret "tools/$(tool_name "$1")" 'administrators'
		printf '  It is for those who have logged in as an administrator.\n'
		return
	fi
	if [[ -s $(password_file "$1") && $2 != --new-password ]]; then
		printf '  The password is still the one that was shown first. For another one: ops/%s.sh start --new-password\n' "$1"
		return
	fi
	password=$(new_password)
	keep_secret "tools/$(tool_name "$1")" "$TOOL_USER:$(nginx_hash "$password")"
	printf '  user:     %s\n  password: %s\n' "$TOOL_USER" "$password"
	printf '  It is shown only now. To make another one: ops/%s.sh start --new-password\n' "$1"
}

# nginx_hash PASSWORD: in a form that Nginx knows, base64(sha1(password + salt) + salt). A slow hash would protect a weak
# password, but this one is random; and Nginx computes the hash for each request, while all others wait.
nginx_hash() {
	local salt
	salt=$(head --bytes 9 /dev/urandom | basenc --base64url)
	printf '{SSHA}'
	{
		printf '%s%s' "$1" "$salt" | sha1sum | head --bytes 40 | tr a-f A-F | basenc --decode --base16
		printf '%s' "$salt"
	} | base64 --wrap 0
}
