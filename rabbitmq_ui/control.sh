#!/bin/bash
# Start and check the Nginx in front of RabbitMQ's management page.
set -Eeuo pipefail

CONFIG=/etc/warren/nginx.conf

# What nginx.conf includes: the name of the broker's container, and the password, which must not stand in an image.
broker() {
	local credentials
	credentials=$(printf '%s:%s' "$MONITOR_USER" "$(</run/secrets/monitor_password)" | base64 --wrap 0)
	printf "set \$broker %s;\n" "$BROKER_HOST"
	printf 'proxy_set_header Authorization "Basic %s";\n' "$credentials"
}

check() {
	local status
	exec 3<>/dev/tcp/127.0.0.1/8080
	printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3
	read -r -t 3 _ status _ <&3
	[[ $status == 200 ]]
}

case ${1:-} in
start)
	(umask 077 && broker >/tmp/broker.conf)
	exec nginx -c "$CONFIG" -g 'daemon off;'
	;;
check) check ;;
*)
	echo 'Usage: control.sh start|check' >&2
	exit 2
	;;
esac
