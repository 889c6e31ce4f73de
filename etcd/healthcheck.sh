#!/bin/bash
# Healthy: this member answers, and knows of a majority: what it is asked is agreed upon with the others first.
exec etcdctl --endpoints http://127.0.0.1:2379 --command-timeout 4s get health >/dev/null
