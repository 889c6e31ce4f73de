#!/bin/bash
# start NAME MEMBER,MEMBER,MEMBER: start this member of etcd. A member is NAME=ADDRESS, as etcd wants it.
set -Eeuo pipefail

# One that has nothing yet joins the others, if they are there already.
state=new
others=$(tr , '\n' <<<"$2" | sed "/^$1=/d; s/^.*=//; s/:2380\$/:2379/" | paste --serial --delimiters ,)
if [[ ! -e /var/lib/etcd/data ]] && etcdctl --endpoints "$others" --command-timeout 3s member list >/dev/null 2>&1; then state=existing; fi

# Machines that share processors with jobs answer late now and then: an election for each of these would do harm.
exec etcd --name "$1" --data-dir /var/lib/etcd/data \
	--listen-peer-urls http://0.0.0.0:2380 --initial-advertise-peer-urls "http://$1:2380" \
	--listen-client-urls http://0.0.0.0:2379 --advertise-client-urls "http://$1:2379" \
	--initial-cluster "$2" --initial-cluster-token warren --initial-cluster-state "$state" \
	--heartbeat-interval 200 --election-timeout 2000 \
	--auto-compaction-mode periodic --auto-compaction-retention 1h --log-level warn
