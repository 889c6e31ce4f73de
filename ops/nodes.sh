# shellcheck shell=bash
# Three machines, any one of which may die: each is a manager of one Swarm, and has every part of the stack. What has to
# agree does so by parts that were made for it: etcd, Patroni, RabbitMQ's own cluster. See docs/beyond_one_machine.md
# Sourced after ops/cluster.sh and what that needs, never run.

# --- which machine this is -------------------------------------------------------------------------------------------

# choose_node ADDRESSES NUMBER: be the machine with this number of the three. What is no good is refused.
choose_node() {
	local address addresses
	# shellcheck disable=SC2153  # settings.sh sets it
	[[ -z $NODE || "$CLUSTER_ADDRESSES $NODE" == "$1 $2" ]] || die "this machine is number $NODE of $CLUSTER_ADDRESSES" 'Once said, it stays so: ./build.sh'
	IFS=, read -r -a addresses <<<"$1"
	[[ ${#addresses[@]} -eq 3 && $(printf '%s\n' "${addresses[@]}" | sort --unique | wc -l) -eq 3 ]] ||
		die "--cluster needs three addresses, not: $1" 'Give one, of this machine, or three with commas between them. Of five machines, the other two can have workers.'
	[[ $2 =~ ^[123]$ ]] || die "--node needs the number of this machine, not: $2" "Give 1 on ${addresses[0]}, 2 on ${addresses[1]}, 3 on ${addresses[2]}."
	for address in "${addresses[@]}"; do check_address "$address"; done
	CLUSTER_ADDRESS=${addresses[$2 - 1]}
	if [[ -n $NODE ]]; then return; fi
	if [[ -n $LEDGER_BEFORE ]]; then check_ledger_can_grow "$2"; fi
	[[ $LEDGER == sqlite || -z $DATABASE_URL ]] || die 'three machines have a PostgreSQL of their own, and DATABASE_URL names another' 'Unset DATABASE_URL.'
	# shellcheck disable=SC2034  # ops/cluster.sh keeps HOST
	CLUSTER_ADDRESSES=$1 NODE=$2 LEDGER=postgresql DATABASE_URL='' LEDGER_BEFORE='' HOST=$(this_machine)
	be_a_node
}

# check_ledger_can_grow NUMBER: a stack of one machine becomes the first of three, with its jobs.
check_ledger_can_grow() {
	own_postgres || die "the jobs of the stack $PREFIX are not in a PostgreSQL of its own" 'If they are in SQLite, take them there: ops/move_ledger.sh'
	[[ $1 == 1 ]] || die "there is a stack $PREFIX with jobs on this machine" 'Let this machine be number 1: it brings its jobs along. To remove them: ./stop.sh --purge'
	check_nobody_is_elsewhere 'workers on other machines use the network that would be replaced'
}

# join_nodes: become a manager of the Swarm of the others, with the secrets of the invitation.
join_nodes() {
	local file=$SECRETS_DIR/invitation kind value stack='' code='' deadline=0 uid='' token='' manager=''
	[[ -r $file ]] || die "there is no invitation $file" \
		"The first machine writes one: ./build.sh --cluster $CLUSTER_ADDRESSES --node 1   Carry it to that place here, for instance with scp."
	tar --extract --file "$file" --directory "$SECRETS_DIR"
	while read -r kind value; do
		case $kind in stack | code | deadline | uid | token | manager) printf -v "$kind" '%s' "$value" ;; esac
	done <"$SECRETS_DIR/three"
	rm "$SECRETS_DIR/three"
	[[ $stack == "$PREFIX" ]] || die "the invitation is for the stack $stack, not for $PREFIX" "Say so each time: PREFIX=$stack ./build.sh ..."
	((EPOCHSECONDS < deadline)) || die 'the invitation is too old, or the clock of this machine is wrong' \
		"Run this again on the first machine: ./build.sh   All machines need the right time: see docs/beyond_one_machine.md"
	[[ $code == "$(code)" ]] || die 'the first machine has another version of jobs/ or celery/' 'Take the same version of the project to all machines.'
	[[ $uid == "$WARREN_UID" ]] || die "the stack's user id is $uid, and here it is $WARREN_UID" \
		'Do this as root on all machines, or as users with the same id.'
	docker swarm join --token "$token" --advertise-addr "$CLUSTER_ADDRESS" --listen-addr "$CLUSTER_ADDRESS:2377" "$manager:2377"
	rm "$file"
	# A new manager hears from the others what networks there are.
	wait_for 30 "the network $NETWORK" docker network inspect "$NETWORK"
}

# --- one that is there already ---------------------------------------------------------------------------------------

all_nodes_are_here() { (($(docker node ls --quiet --filter role=manager | wc -l) >= 3)); }

# await_nodes NUMBER...: write the invitation and wait until these machines have come.
await_nodes() {
	local file=$SECRETS_DIR/invitation deadline=$((EPOCHSECONDS + INVITATION_LASTS))
	if all_nodes_are_here; then return; fi
	take_lock invitation || die 'an invitation is open' 'Wait until it is over, or end it with Ctrl-C.'
	trap 'end_invitation manager; wait' EXIT
	(umask 077 && node_invitation "$deadline" >"$file.part")
	mv "$file.part" "$file"
	cat <<-TEXT

		The invitation is $file
		There are all passwords in it. Carry it to the same place there, by a way that nobody else reads, for instance with
		scp. Then, in a copy of this version of the project:

		$(printf "  ./build.sh --cluster $CLUSTER_ADDRESSES --node %s\n" "$@")

		Waiting, at most $((INVITATION_LASTS / 60)) minutes; Ctrl-C takes the invitation back.

	TEXT
	while ! all_nodes_are_here; do
		((EPOCHSECONDS < deadline)) || die 'the others have not joined in time' 'The invitation is void. For another one, run this again.'
		sleep 0.5
	done
	trap wait EXIT
	end_invitation manager
}

# node_invitation DEADLINE: a tar archive of the secrets, and what else a machine has to know.
node_invitation() {
	printf '%s %s\n' stack "$PREFIX" code "$(code)" deadline "$1" uid "$WARREN_UID" manager "$CLUSTER_ADDRESS" \
		token "$(docker swarm join-token --quiet manager)" >"$SECRETS_DIR/three"
	tar --create --directory "$SECRETS_DIR" --exclude ./.stack --exclude ./cluster --exclude './invitation*' --exclude './database_url*' \
		--exclude ./tools .
	rm "$SECRETS_DIR/three"
}

# --- the servers -----------------------------------------------------------------------------------------------------

# tell_of_nodes: what build.sh says at its end.
tell_of_nodes() {
	printf '\nThis machine is number %s of %s. Any one of them may die; clients may ask each of them.\n' "$NODE" "$CLUSTER_ADDRESSES"
	docker exec "$POSTGRES_CONTAINER" members | sed 's/^/  /'
}
