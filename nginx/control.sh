#!/bin/bash
# Start, reload and check Nginx, which looks a name up only once, when it reads its configuration. So the
# address of the Flask container is written to a file that nginx.conf includes, and written again, with a
# reload, whenever the name has another address: after a renewal, a crash or a reboot. A new certificate is a reason
# to reload, too.
set -Eeuo pipefail

CONFIG=/etc/warren/nginx.conf
UPSTREAM=/tmp/upstream.conf NAMES=/tmp/names.conf LIMITS=/tmp/limits.conf
LISTEN=/tmp/listen.conf REDIRECT=/tmp/redirect.conf
LOADED=/tmp/loaded.conf           # a copy of what Nginx has read
CERTIFICATE=/tmp/certificate.hash # of the one that it has read
DRAINING=/tmp/draining
PID=/tmp/nginx.pid
CHOSEN=/tmp/flask_name                       # whom to ask: FLASK_CONTAINER, or who stands in for it
LIFE=/run/warren/life BORROWED=/tmp/borrowed # see port.py
# A container from before there were these settings has none of them, until it is renewed.
AUTH=${AUTH:-off} TLS=${TLS:-off} HTTP_PORT=${HTTP_PORT:-}
HOSTS=${HOSTS-0.0.0.0} CLIENT_REQUESTS=${CLIENT_REQUESTS:-0} CLIENT_CONNECTIONS=${CLIENT_CONNECTIONS:-0}
# Flask answers within 3 s even where the disk does not. A web container that hangs answers nothing at all, and then we do:
# 503.
FLASK_TIMEOUT=${FLASK_TIMEOUT:-4}

# The line for nginx.conf. Without Flask it is a port where nothing listens: 503 at once, and / is served.
upstream() {
	local address chosen=$FLASK_CONTAINER
	if [[ -s $CHOSEN ]]; then chosen=$(<"$CHOSEN"); fi
	address=$(getent ahostsv4 "$chosen" || getent ahostsv4 "$FLASK_CONTAINER") || address=127.0.0.1:1
	address=${address%%[[:space:]]*}
	if [[ $address != *:* ]]; then address+=:8000; fi
	printf 'server %s max_fails=0;\n' "$address"
}

# Who may ask, and how much: what build.sh has found out about names, whether people log in, and the limits of each
# client, 0 for none.
# shellcheck disable=SC2016  # the variables are Nginx's
admission() {
	local name
	for name in $HOSTS; do
		case $name in
		# Which addresses the machine has cannot be seen from here, and they may change. So any address may be asked for. No
		# harm: what a page of another site can have is a name that leads here.
		0.0.0.0) printf '"~^[0-9.]+$" 1;\n"~^\\[" 1;\n' ;;
		*) printf '"%s" 1;\n' "$name" ;;
		esac
	done >"$NAMES"
	{
		printf 'map "" $login { default %s; }\n' "$AUTH"
		printf 'proxy_read_timeout %ds;\n' "$FLASK_TIMEOUT"
		printf 'map "" $client_requests { default %d; }\n' "$CLIENT_REQUESTS"
		if ((CLIENT_REQUESTS > 0)); then
			printf 'limit_req_zone $binary_remote_addr zone=requests:4m rate=%dr/s;\n' "$CLIENT_REQUESTS"
			# A page asks for several things at once, and then for a while for nothing.
			printf 'limit_req zone=requests burst=%d nodelay;\n' $((2 * CLIENT_REQUESTS))
		fi
		if ((CLIENT_CONNECTIONS > 0)); then
			printf 'limit_conn_zone $binary_remote_addr zone=connections:4m;\n'
			printf 'limit_conn connections %d;\n' "$CLIENT_CONNECTIONS"
		fi
	} >"$LIMITS"
}

# How the published port is served, and HTTP_PORT, from where people are sent on to it. 443 need not be named.
entrances() {
	local at
	if [[ $TLS == on ]]; then echo 'include /etc/warren/tls.conf;'; else echo 'listen 8080;'; fi >"$LISTEN"
	if [[ -n $HTTP_PORT ]]; then
		at=:$PORT
		if [[ $at == :443 ]]; then at=; fi
		sed "s/@PORT@/$at/" /etc/warren/redirect.conf
	fi >"$REDIRECT"
}

# A configuration with a mistake in it is refused here, and Nginx goes on with the one it has.
try() {
	admission
	entrances
	nginx -c "$CONFIG" -q -t
}

configuration() { cat "$CONFIG" /etc/warren/tls.conf /etc/warren/redirect.conf; }
certificate() {
	if [[ $TLS == on ]]; then sha256sum </run/tls/server.pem; fi
}

# What Nginx is going to read, and what tells later whether it would be something else by then.
prepare() {
	upstream >"$UPSTREAM"
	configuration >"$LOADED"
	certificate >"$CERTIFICATE"
}

reload() {
	local half
	try
	# One that has just been started may still wait for its port.
	for ((half = 0; half < 10; half++)); do
		if [[ -s $PID ]]; then break; fi
		sleep 0.5
	done
	prepare
	nginx -c "$CONFIG" -s reload
}

# A reload or a stop closes idle connections, also one on which a client is just sending its next request. So before a
# planned one every answer says `Connection: close` for a second: nginx.conf looks for this file.
drain() {
	touch "$DRAINING"
	sleep 1
}

# The processes that answer, also those that are shutting down, as files of /proc
workers() { grep --files-with-matches --no-messages 'nginx: worke[r]' /proc/[0-9]*/cmdline | sort || true; }

# The planned reload; with a name, to the Flask of this name. It is over when the processes with the earlier configuration
# have answered everything.
replace() {
	local half earlier
	if [[ -n $1 ]]; then printf '%s' "$1" >"$CHOSEN"; fi
	try
	earlier=$(workers)
	if [[ ! -e $DRAINING ]]; then drain; fi
	reload
	for ((half = 0; half < 20; half++)); do
		sleep 0.5
		if [[ -z $(comm -12 <(echo "$earlier") <(workers)) ]]; then break; fi
	done
	rm -f "$DRAINING"
}

# The planned reload, if configuration or certificate are not what was loaded.
refresh() {
	if [[ $(configuration) != "$(<"$LOADED")" || $(certificate) != "$(<"$CERTIFICATE")" ]]; then replace ''; fi
}

# alone COMMAND...: after another planned reload, if there is one
alone() {
	exec 9>/tmp/replacing
	flock 9
	"$@"
}

check() {
	local status now
	# The port container has begun a new life, so our socket leads nowhere. Docker starts us again, and we get the new one.
	if [[ -e $BORROWED ]] && ! cmp --silent "$BORROWED" "$LIFE"; then kill -TERM 1; fi

	exec 3<>/dev/tcp/127.0.0.1/8081
	printf 'GET /proxy-health HTTP/1.0\r\n\r\n' >&3
	read -r -t 3 _ status _ <&3
	[[ $status == 200 ]]

	# Left by a build.sh that was interrupted
	find "$DRAINING" -mmin +0.5 -delete 2>/dev/null || true
	now=$(upstream)
	# While Flask is gone its old address is as good as any: it mostly comes back with it.
	if [[ -e $DRAINING ]]; then return; fi
	if [[ $now != *127.0.0.1:1* && $now != "$(<"$UPSTREAM")" ]]; then reload; fi
	# In the background, for this takes longer than a healthcheck may. What it says goes to the log.
	if [[ $(certificate) != "$(<"$CERTIFICATE")" ]]; then alone refresh <&- &>/proc/1/fd/2 & fi
}

case ${1:-} in
start)
	admission
	entrances
	prepare
	exec /etc/warren/port.py borrow nginx -c "$CONFIG" -g 'daemon off;'
	;;
replace) alone replace "${2:-}" ;;
refresh) alone refresh ;;
drain | check) "$1" ;;
*)
	echo 'Usage: control.sh start|drain|replace [NAME]|refresh|check' >&2
	exit 2
	;;
esac
