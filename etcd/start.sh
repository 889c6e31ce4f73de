#!/bin/bash
# start NAME MEMBER,MEMBER,MEMBER: start this member of etcd. A member is NAME=ADDRESS, as etcd wants it.
set -Eeuo pipefail

# Machines that share processors with jobs answer late now and then: an election for each of these would do harm.
exec etcd --name "$1" --data-dir /var/lib/etcd/data \
	--listen-peer-urls http://0.0.0.0:2380 --initial-advertise-peer-urls "http://$1:2380" \
	--listen-client-urls http://0.0.0.0:2379 --advertise-client-urls "http://$1:2379" \
	--initial-cluster "$2" --initial-cluster-token warren \
	--heartbeat-interval 200 --election-timeout 2000 \
	--auto-compaction-mode periodic --auto-compaction-retention 1h --log-level warn
