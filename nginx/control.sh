#!/bin/bash
# Start, reload and check Nginx, which looks a name up only once, when it reads its configuration. So the
# address of the Flask container is written to a file that nginx.conf includes, and written again, with a
# reload, whenever the name has another address: after a renewal, a crash or a reboot.
set -Eeuo pipefail

CONFIG=/etc/warren/nginx.conf
UPSTREAM=/tmp/upstream.conf
LOADED=/tmp/loaded.conf # a copy of what Nginx has read

# The line for nginx.conf. Without Flask it is a port where nothing listens: 503 at once, and / is served.
upstream() {
	local address
	address=$(getent ahostsv4 "$FLASK_CONTAINER") || address=127.0.0.1:1
	address=${address%%[[:space:]]*}
	[[ $address == *:* ]] || address+=:8000
	printf 'server %s max_fails=0;\n' "$address"
}

# A configuration with a mistake in it is refused here, and Nginx goes on with the one it has.
reload() {
	upstream >"$UPSTREAM"
	nginx -c "$CONFIG" -q -t
	nginx -c "$CONFIG" -s reload
	cp "$CONFIG" "$LOADED"
}

# Reload if the configuration is not the one that was loaded.
refresh() { cmp --silent "$CONFIG" "$LOADED" || reload; }

check() {
	local status now
	exec 3<>/dev/tcp/127.0.0.1/8080
	printf 'GET /proxy-health HTTP/1.0\r\n\r\n' >&3
	read -r -t 3 _ status _ <&3
	[[ $status == 200 ]]

	now=$(upstream)
	# While Flask is gone its old address is as good as any: it mostly comes back with it.
	[[ $now == *127.0.0.1:1* || $now == "$(<"$UPSTREAM")" ]] || reload
}

# Do processes of an earlier configuration still have requests to finish?
draining() { grep --quiet --no-messages 'is shutting dow[n]' /proc/[0-9]*/cmdline; }

case ${1:-} in
start)
	upstream >"$UPSTREAM"
	cp "$CONFIG" "$LOADED"
	exec nginx -c "$CONFIG" -g 'daemon off;'
	;;
reload | refresh | check | draining) "$1" ;;
*)
	echo 'Usage: control start|reload|refresh|check|draining' >&2
	exit 2
	;;
esac
