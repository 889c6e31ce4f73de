#!/bin/bash
# Healthy: Flower answers.
exec 3<>/dev/tcp/127.0.0.1/8080 || exit 1
printf 'GET /flower/healthcheck HTTP/1.0\r\n\r\n' >&3
read -r -t 3 _ status _ <&3
[[ $status == 200 ]]
