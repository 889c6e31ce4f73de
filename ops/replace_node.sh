#!/usr/bin/env bash
# One of three machines is dead for good: forget it, and let another one have its place.
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
# shellcheck source=ops/cluster.sh
source "$WARREN_DIR/ops/cluster.sh"
# shellcheck source=ops/nodes.sh
source "$WARREN_DIR/ops/nodes.sh"

usage() {
	cat <<-HELP
		Usage: ops/replace_node.sh NUMBER

		On one of three machines, when another one is dead and will not come back: lets the others forget the machine with this
		NUMBER, writes an invitation, and waits until another machine has joined in its place. That one must have the
		address of the dead one, and nothing of the stack $PREFIX.

		Example:
		  ops/replace_node.sh 3
	HELP
}

main() {
	local number=${1:-nothing} addresses
	help_if_asked "$@"
	require_docker
	[[ -n $NODE ]] || die "the stack $PREFIX is not one of three machines" 'See: docs/beyond_one_machine.md'
	[[ $# -eq 1 && $number =~ ^[123]$ && $number != "$NODE" ]] || die "not the number of another machine: $*" \
		"This one is number $NODE of $CLUSTER_ADDRESSES."
	require_running "$RABBITMQ_CONTAINER"
	check_home
	only_one_at_a_time
	IFS=, read -r -a addresses <<<"$CLUSTER_ADDRESSES"
	step "Swarm forgets ${addresses[number - 1]}" leave_swarm_to_others "${addresses[number - 1]}"
	step "RabbitMQ forgets $(of_node rabbitmq "$number")" forget_rabbitmq "$(of_node rabbitmq "$number")"
	step "etcd has a new place for $(of_node etcd "$number")" renew_member "$(of_node etcd "$number")"
	await_nodes "$number"
	printf 'Another machine has joined as number %s.\n' "$number"
}

# leave_swarm_to_others ADDRESS: of the machine that is dead. PostgreSQL forgets it by itself.
leave_swarm_to_others() {
	local id address state
	while read -r id; do
		read -r address state < <(docker node inspect --format '{{.Status.Addr}} {{.Status.State}}' "$id")
		if [[ $address != "$1" ]]; then continue; fi
		[[ $state == down ]] || die "the machine $1 is there: $state" 'Only one that is down can be replaced. See: docker node ls'
		docker node demote "$id"
		docker node rm --force "$id"
	done < <(docker node ls --quiet)
}

forget_rabbitmq() {
	if docker exec "$RABBITMQ_CONTAINER" rabbitmqctl --silent cluster_status | grep --quiet --word-regexp --fixed-strings "rabbit@$1"; then
		docker exec "$RABBITMQ_CONTAINER" rabbitmqctl forget_cluster_node "rabbit@$1"
	fi
}

# renew_member NAME: a member of etcd that has lost its files is another member.
renew_member() {
	local id
	id=$(ask_etcd member list | sed --quiet "s/^\([0-9a-f]*\), started, $1, .*/\1/p")
	if [[ -n $id ]]; then ask_etcd member remove "$id"; fi
	if ! ask_etcd member list | grep --quiet --fixed-strings "http://$1:2380"; then
		ask_etcd member add "$1" --peer-urls "http://$1:2380"
	fi
}

ask_etcd() { docker exec "$ETCD_CONTAINER" etcdctl "$@"; }

main "$@"
