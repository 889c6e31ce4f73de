#!/bin/bash
# Healthy: Gunicorn answers /flask/healthz. In bash alone, for this runs every few seconds.
exec 3<>/dev/tcp/127.0.0.1/8000 || exit 1
printf 'GET /flask/healthz HTTP/1.0\r\n\r\n' >&3
read -r -t 3 _ status _ <&3
[[ $status == 200 ]]
