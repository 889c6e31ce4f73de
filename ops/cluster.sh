# shellcheck shell=bash
# More machines than one: the inner network of the stack becomes an overlay of Docker's Swarm, which containers on other
# machines join, too. Nothing else of Swarm is used: no services, no stacks. See docs/beyond_one_machine.md
# Sourced after settings.sh, ops/lib.sh, ops/images.sh, ops/containers.sh, ops/secrets.sh and ops/workers.sh, never run.
#
# On the first machine the file `cluster` in SECRETS_DIR keeps what ./build.sh --cluster was told. On another one the file
# `joined` keeps what its invitation said; settings.sh reads both.

INVITATION_LASTS=1800 # seconds
# What all workers of a stack must agree on, and so comes with the invitation.
SHARED_SETTINGS=(BACKLOG_LIMIT MAX_DELIVERIES WORKER_LEASE RESULT_EXPIRES EXPORT_EXPIRES AUDIT_EXPIRES STOP_TIMEOUT RETIRE_TIMEOUT NOTICES)

# --- the network of the first machine --------------------------------------------------------------------------------

# refuse_elsewhere: for scripts that are about a whole stack.
refuse_elsewhere() {
	[[ -z $MACHINE ]] || die "this machine has workers of the stack on $MANAGER, and no stack $PREFIX of its own" \
		'To let them go: ./launch_celery_worker.sh --leave'
}

# check_cluster: refuse what cannot work, before anything is made.
check_cluster() {
	local state here
	refuse_elsewhere
	[[ $CLUSTER_ENCRYPTION == on || $CLUSTER_ENCRYPTION == off ]] ||
		die "CLUSTER_ENCRYPTION=$CLUSTER_ENCRYPTION is neither on nor off" 'Correct CLUSTER_ENCRYPTION, or unset it.'
	check_nobody_is_cut_off
	if [[ -z $CLUSTER_ADDRESS ]]; then return; fi
	check_address "$CLUSTER_ADDRESS"
	[[ $LEDGER == postgresql ]] || die 'workers on other machines need PostgreSQL: the file of SQLite cannot be shared' \
		'To take the jobs of this stack along: ops/move_ledger.sh   A new stack begins with it: LEDGER=postgresql ./build.sh --cluster ...'
	read -r state here < <(docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.NodeAddr}}')
	case $state in
	inactive) SWARM=made ;;
	active)
		is_manager || die 'this engine is a worker of another Swarm' 'To take it out of that: docker swarm leave'
		[[ $here == "$CLUSTER_ADDRESS" ]] || die "this engine is in a Swarm already, with the address $here" \
			"Use that one: ./build.sh --cluster $here   Or take it out of that: docker swarm leave --force"
		;;
	*) die "the Swarm of this engine is $state" 'See: docker info   and: journalctl --unit docker' ;;
	esac
}

# check_address ADDRESS
check_address() {
	[[ $1 =~ ^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "--cluster needs an address of this machine, not: $1" \
		'Give the IPv4 address at which the other machines reach this one. Yours are: '"$(hostname --all-ip-addresses || true)"
}

is_manager() { [[ $(docker info --format '{{.Swarm.ControlAvailable}}') == true ]]; }

is_worker() { [[ $(docker info --format '{{.Swarm.ControlAvailable}}') == false ]]; }

# check_nobody_is_cut_off: another network would cut off the workers that are in this one from elsewhere.
check_nobody_is_cut_off() {
	if ! docker network inspect "$NETWORK" >/dev/null 2>&1 || inner_network_fits; then return; fi
	check_nobody_is_elsewhere 'workers on other machines use the network that would be replaced'
}

# check_nobody_is_elsewhere WHY_NOT
check_nobody_is_elsewhere() {
	local others
	others=$(other_machines)
	[[ -z $others ]] || die "$1: ${others//$'\n'/, }" 'Let them leave first. There: ./launch_celery_worker.sh --leave'
}

# other_machines: the addresses of those whose workers are in the inner network now, one per line.
other_machines() {
	local here
	here=$(docker info --format '{{.Swarm.NodeAddr}}')
	docker network inspect --format '{{range .Peers}}{{println .IP}}{{end}}' "$NETWORK" 2>/dev/null | sed "/^${here//./\\.}\$/d; /^\$/d"
}

# inner_network_fits: is it already what it should be?
inner_network_fits() {
	local found encryption=off
	found=$(docker network inspect --format '{{.Driver}}{{range $name, $_ := .Options}} {{$name}}{{end}}' "$NETWORK")
	if [[ $found == *encrypted* ]]; then encryption=on; fi
	if [[ $found == overlay* ]]; then found="overlay, encryption $encryption"; else found=''; fi
	[[ $found == "$(inner_network)" ]]
}

# make_swarm: of this one machine, for now; or join that of the first of three.
make_swarm() {
	if is_manager; then return; fi
	if [[ -n $NODE && $NODE != 1 ]]; then
		join_nodes
	else
		docker swarm init --advertise-addr "$CLUSTER_ADDRESS" --listen-addr "$CLUSTER_ADDRESS:2377"
	fi
}

# make_inner_networks: nothing outside can reach them, and nothing in them can get out.
make_inner_networks() {
	local options=(--internal)
	if [[ -n $CLUSTER_ADDRESS ]]; then options+=(--driver overlay --attachable); fi
	if [[ -n $CLUSTER_ADDRESS && $CLUSTER_ENCRYPTION == on ]]; then options+=(--opt encrypted); fi
	make_network "$NETWORK" "${options[@]}"
	if [[ -n $NODE ]]; then make_network "$KEEPER_NETWORK" "${options[@]}"; fi
}

# remember_cluster: for later builds.
remember_cluster() { keep_if_given cluster "${CLUSTER_ADDRESS:+$CLUSTER_ADDRESS $CLUSTER_ENCRYPTION $SWARM${NODE:+ $NODE $HOST $CLUSTER_ADDRESSES}}"; }

# take_inner_network_away: stop what is in it, who accepts jobs first, and what they all use last. ./build.sh makes them
# anew, for the other network.
take_inner_network_away() {
	local deadline
	stop_role flask "${TOOLS[@]}"
	stop_role rabbitmq
	stop_role postgres
	deadline=$((SECONDS + 30))
	docker network rm "$NETWORK"
	# The Swarm takes it away some moments later. Until then it would be taken for the new one.
	while docker network inspect "$NETWORK" >/dev/null 2>&1; do
		((SECONDS < deadline)) || die "Docker does not take the network $NETWORK away" 'To try again: ./build.sh'
		sleep 0.2
	done
	if [[ -z $CLUSTER_ADDRESS ]]; then leave_swarm; fi
	# The worker of one machine. Of three, each has its machine's name.
	if [[ -n $NODE ]]; then remove "${PREFIX}_celery_container"; fi
}

stop_role() {
	local role names
	for role in "$@"; do
		mapfile -t names < <(containers_of "$role")
		if [[ ${#names[@]} -gt 0 ]]; then docker stop "${names[@]}"; fi
	done
}

# leave_swarm: of the first machine, if it has made the Swarm.
leave_swarm() {
	if [[ $SWARM != made ]] || ! is_manager; then return; fi
	# One of three tells the others first, and waits until they know. The last one cannot, and removes the networks.
	if [[ -n $NODE ]] && docker node demote self >/dev/null 2>&1; then
		wait_for 30 'way to leave the other managers' is_worker
	elif [[ -n $NODE ]]; then
		docker network rm "$NETWORK" "$KEEPER_NETWORK" >/dev/null 2>&1 || true
	fi
	wait_for 60 'way out of the Swarm' try_to_leave
}

# try_to_leave: Docker gives up after some seconds, and may have left all the same.
try_to_leave() {
	docker swarm leave --force || true
	[[ $(docker info --format '{{.Swarm.LocalNodeState}}') == inactive ]]
}

# tell_of_machines: what build.sh says at its end.
tell_of_machines() {
	local others
	if [[ -z $CLUSTER_ADDRESS ]]; then return; fi
	if [[ -n $NODE ]]; then tell_of_nodes; fi
	printf '\nOther machines can join: ./launch_celery_worker.sh --invite\n'
	others=$(other_machines)
	if [[ -n $others && -z $NODE ]]; then
		printf 'Their workers stay as they are, with the version and the settings they have: %s\n' "${others//$'\n'/, }"
	fi
	if [[ $CLUSTER_ENCRYPTION == off ]]; then
		warn 'CLUSTER_ENCRYPTION is off: whoever is on the way between the machines reads the jobs and the passwords.'
	fi
}

# --- the invitation ---------------------------------------------------------------------------------------------------

# invite: write the invitation and wait until a machine has come, or time is over. Then its token is worth nothing any more.
invite() {
	local file=$SECRETS_DIR/invitation deadline=$((EPOCHSECONDS + INVITATION_LASTS)) members came=''
	[[ -n $CLUSTER_ADDRESS ]] || die "the network of the stack $PREFIX is for one machine" 'Make it one for several: ./build.sh --cluster ADDRESS'
	require_running "$CELERY_CONTAINER"
	check_home
	take_lock invitation || die 'another invitation is open' 'Wait until it is over, or end it with Ctrl-C.'
	trap 'end_invitation worker' EXIT
	trap 'exit 130' INT TERM
	docker swarm join-token --quiet --rotate worker >/dev/null # of an invitation whose end was cut off
	members=$(docker node ls --quiet)
	(umask 077 && invitation "$deadline" >"$file.part")
	mv "$file.part" "$file"
	cat <<-TEXT
		The invitation is $file
		There are passwords in it. Carry it to the other machine by a way that nobody else reads, for instance with scp. There, in a
		copy of this version of the project:

		  ./launch_celery_worker.sh 2 --join invitation

		Waiting until a machine has joined, at most $((INVITATION_LASTS / 60)) minutes; Ctrl-C takes the invitation back.
	TEXT
	while [[ -z $came ]]; do
		((EPOCHSECONDS < deadline)) || die 'nobody has joined in time' 'The invitation is void. Make another: ./launch_celery_worker.sh --invite'
		sleep 0.5
		# Its name is known a moment after its id.
		came=$(docker node ls --format '{{.ID}} {{.Hostname}}' | grep --invert-match --fixed-strings "$members" | cut --delimiter ' ' --fields 2 || true)
	done
	printf '%s has joined. The invitation is used up.\n' "$came"
}

# end_invitation ROLE: its token, to join as a worker or a manager of the Swarm, is worth nothing any more.
end_invitation() {
	rm -f "$SECRETS_DIR"/invitation{,.part}
	docker swarm join-token --quiet --rotate "$1" >/dev/null
}

# invitation DEADLINE: all that a machine has to know, one thing per line.
invitation() {
	local name names
	printf '%s %s\n' prefix "$PREFIX" manager "$CLUSTER_ADDRESS" deadline "$1" encryption "$CLUSTER_ENCRYPTION" code "$(code)" \
		token "$(docker swarm join-token --quiet worker)" \
		image "$(docker image inspect --format '{{.Id}}' "${PREFIX}_celery")"
	printf 'setting %s\n' "WARREN_UID=$WARREN_UID" "WARREN_GID=$WARREN_GID"
	# As the first worker has them, whatever the environment of this script says
	IFS='|' names="${SHARED_SETTINGS[*]}"
	docker container inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$CELERY_CONTAINER" | grep --extended-regexp "^($names)=" |
		sed 's/^/setting /'
	for name in "$(newest_user worker)_password" database_url smtp_url; do
		if [[ -s $SECRETS_DIR/$name ]]; then printf 'secret %s %s\n' "$name" "$(<"$SECRETS_DIR/$name")"; fi
	done
}

# code: of which version the workers are, in a few characters.
code() {
	(cd "$WARREN_DIR" && find jobs celery -type f -not -path '*/__pycache__/*' -print0 | LC_ALL=C sort --zero-terminated |
		xargs -0 sha256sum | sha256sum | cut -c 1-16)
}

# --- another machine --------------------------------------------------------------------------------------------------

# join FILE N QUEUES CONCURRENCY: become a machine of the stack that the invitation comes from, with so many workers.
join() {
	local file=$1 prefix manager token image encryption settings=() secrets=()
	read_invitation "$file"
	trap 'forget >/dev/null; echo "Nothing of it stays here."' EXIT
	trap 'exit 130' INT TERM
	step 'secrets and settings' take_invitation
	LEDGER='' DATABASE_URL='' # it is where the invitation says
	# shellcheck source=settings.sh
	source "$WARREN_DIR/settings.sh"
	step "image ${PREFIX}_celery" take_image "$image"
	step "this machine joins those of $manager" join_swarm "$manager" "$token"
	make_network "$FRONT_NETWORK" >/dev/null
	step "data passes to $RABBITMQ_CONTAINER" probe "$encryption"
	add_workers "$2" "$3" "$4"
	trap - EXIT INT TERM
	rm -f "$file"
}

# read_invitation FILE: check it, and take it to pieces.
read_invitation() {
	local kind value deadline code
	[[ -z $MACHINE ]] || die "this machine has joined already, at $MANAGER" \
		'For more workers: ./launch_celery_worker.sh 2   To take up another version or other secrets: ./launch_celery_worker.sh --leave   and join again.'
	[[ -r $1 ]] || die "there is no invitation $1" 'The first machine writes one: ./launch_celery_worker.sh --invite'
	while read -r kind value; do
		case $kind in
		prefix | manager | deadline | encryption | code | token | image) printf -v "$kind" '%s' "$value" ;;
		setting) take_setting "$value" ;;
		secret) secrets+=("$value") ;;
		*) die "$1 is not an invitation" 'The first machine writes one: ./launch_celery_worker.sh --invite' ;;
		esac
	done <"$1"
	[[ $prefix == "$PREFIX" ]] || die "the invitation is for the stack $prefix, not for $PREFIX" "Say so each time: PREFIX=$prefix ./launch_celery_worker.sh ..."
	((EPOCHSECONDS < deadline)) || die 'the invitation is too old, or the clock of this machine is wrong' \
		'Make another one: ./launch_celery_worker.sh --invite   All machines need the right time: see docs/beyond_one_machine.md'
	[[ $code == "$(code)" ]] || die 'the first machine has another version of jobs/ or celery/' 'Take the same version of the project to both machines.'
	[[ $EUID -eq 0 || " ${settings[*]} " == *" WARREN_UID=$EUID "* ]] || die "the stack's user id is another one than yours, $EUID" \
		'Do this as root, or as a user with the same id as on the first machine.'
	[[ $(docker info --format '{{.Swarm.LocalNodeState}}') == inactive ]] || die 'this engine is in a Swarm already' 'To take it out of that: docker swarm leave'
	[[ -z $(containers_of) && ! -e $SECRETS_DIR/database_url ]] || die "there is a stack $PREFIX on this machine already" \
		'Its workers cannot serve two stacks. Remove it: ./stop.sh --purge   or use another machine.'
}

# take_setting NAME=VALUE
take_setting() {
	[[ " ${SHARED_SETTINGS[*]} WARREN_UID WARREN_GID " == *" ${1%%=*} "* ]] || die "unknown setting in the invitation: $1" \
		'Take the same version of the project to both machines.'
	printf -v "${1%%=*}" '%s' "${1#*=}"
	settings+=("$1")
}

# this_machine: its name, as a part of names of containers.
this_machine() { docker info --format '{{.Name}}' | sed 's/\..*//; s/[^A-Za-z0-9_-]/-/g'; }

take_invitation() {
	local one
	mkdir --parents "$SECRETS_DIR"
	chmod 700 "$SECRETS_DIR"
	printf '%s\n' "$PREFIX" >"$SECRETS_DIR/.stack"
	# shellcheck disable=SC2154  # set by read_invitation
	keep_secret joined "$(printf '%s\n' "MACHINE=$(this_machine)" "MANAGER=$manager" "CLUSTER_ENCRYPTION=$encryption" \
		"${settings[@]}")"
	for one in "${secrets[@]}"; do keep_secret "${one%% *}" "${one#* }"; done
}

# take_image ID: the one of the first machine if it was loaded here; else it is built here.
take_image() {
	if [[ $(docker image inspect --format '{{.Id}}' "${PREFIX}_celery" 2>/dev/null) == "$1" ]]; then return; fi
	"$WARREN_DIR/ops/base_image.sh"
	build_python
	build_image celery
}

# join_swarm MANAGER TOKEN. Docker goes on trying after it has given up.
join_swarm() {
	docker swarm join --token "$2" "$1:2377" || die "this machine could not join that of $1" \
		'An invitation is good for one machine, and only while --invite waits. The port 2377 of the first machine must be open.'
}

# probe ENCRYPTION: do data pass to the other engine? Names are known even where they do not.
probe() {
	local remedy='Between the machines these have to pass: 7946 by TCP and UDP, 4789 by UDP.'
	if [[ $1 == on ]]; then
		remedy+="
The network is encrypted: ESP (IP protocol 50) has to pass as well, and both kernels need ESP and AES-GCM.
Without encryption, only where nobody else can listen. On the first machine: CLUSTER_ENCRYPTION=off ./build.sh --cluster $manager"
	fi
	describe probe celery 64m "$NETWORK"
	arguments+=(--restart no --no-healthcheck)
	# shellcheck disable=SC2016,SC2034  # for the shell in the container; read in ops/containers.sh
	command=(timeout 15 bash -c 'exec 3<>"/dev/tcp/$0/5672"' "$RABBITMQ_CONTAINER")
	run_once "${PREFIX}_probe_container" || die "no data passes to $RABBITMQ_CONTAINER on the other machine" "$remedy"
}

# leave: let the workers end what they run, and be a machine of its own again.
leave() {
	local names
	[[ -n $MACHINE ]] || die 'this machine has not joined another one' 'The stack of this machine itself: ./stop.sh'
	mapfile -t names < <(added_workers)
	if [[ ${#names[@]} -gt 0 ]]; then "$WARREN_DIR/ops/retire_workers.sh" "${names[@]}"; fi
	only_one_at_a_time
	step 'the secrets are forgotten, and this machine leaves the others' forget
	printf 'On the first machine, to forget this one: docker node rm %s\n' "$(docker info --format '{{.Name}}')"
}

# forget: all that join has brought; the images stay.
forget() {
	local names
	mapfile -t names < <(containers_of)
	if [[ ${#names[@]} -gt 0 ]]; then docker rm --force "${names[@]}"; fi
	docker network rm "$FRONT_NETWORK" 2>/dev/null || true # join may have failed before it made it
	if [[ $(docker info --format '{{.Swarm.LocalNodeState}}') != inactive ]]; then docker swarm leave; fi
	rm -f "$SECRETS_DIR"/{worker*_password,database_url,smtp_url,joined,.stack}
	rmdir --ignore-fail-on-non-empty "$SECRETS_DIR"
}
