# shellcheck shell=bash
# The certificate by which clients know the stack: a copy of TLS_CERT and TLS_KEY, or one that the stack's own authority
# has signed. In SECRETS_DIR:
#   tls/server.pem   certificate with its chain, and key, for Nginx, which looks every few seconds whether it has changed
#   authority.pem    the certificate of the own authority: who trusts it, trusts the stack
#   authority.key    its key, which no container that runs ever sees
# Sourced after settings.sh and ops/lib.sh, never run.

# shellcheck source=ops/containers.sh
source "$WARREN_DIR/ops/containers.sh"
# shellcheck source=ops/secrets.sh
source "$WARREN_DIR/ops/secrets.sh"

# bring_certificate: make, renew or copy it, if need be. What Nginx has is replaced only by what was found good.
bring_certificate() {
	local names pair
	mkdir --parents "$SECRETS_DIR/tls"
	give_to_containers "$SECRETS_DIR/tls"
	if [[ -n $TLS_CERT ]]; then
		pair=$(cat "$TLS_CERT" <(echo) "$TLS_KEY")
		run_openssl check <<<"$pair"
		keep_secret tls/server.pem "$pair"
	else
		mapfile -t names < <(server_names | sort --unique)
		run_openssl make "${names[@]}" </dev/null
	fi
}

# run_openssl COMMAND...: in a container, because the machine may not have it.
run_openssl() {
	describe_openssl "$@"
	docker run --rm "${arguments[@]}" "$image" "${command[@]}"
}

# server_names: each name and address under which the stack may be reached, one per line.
server_names() {
	local name address='^([0-9]{1,3}\.){3}[0-9]{1,3}$|:' host='^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$'
	{
		printf '%s\n' localhost 127.0.0.1 ::1
		if [[ $BIND_ADDRESS != 0.0.0.0 ]]; then echo "$BIND_ADDRESS"; else machine_addresses; fi
		# All of three machines have the same certificate.
		if [[ -n $NODE ]]; then
			# shellcheck disable=SC2153  # settings.sh sets it
			tr ', ' '\n' <<<"$CLUSTER_ADDRESSES"
		elif ! on_loopback; then
			uname --nodename
			hostname --fqdn || true
		fi
		tr ', ' '\n' <<<"${HOSTS:-}"
	} | while read -r name; do
		if [[ $name =~ $address || $name =~ $host ]]; then printf '%s\n' "${name,,}"; fi
	done
}

# machine_addresses: but not those that Docker has given the machine in its networks.
machine_addresses() {
	local networks
	mapfile -t networks < <(docker network ls --quiet)
	hostname --all-ip-addresses | tr ' ' '\n' | grep --fixed-strings . | grep --invert-match --line-regexp --fixed-strings \
		--file <(docker network inspect --format '{{range .IPAM.Config}}{{.Gateway}}{{"\n"}}{{end}}' "${networks[@]}" | grep .) || true
}

# how_to_trust: what people have to do once, for the stack's own authority.
how_to_trust() {
	local file=$SECRETS_DIR/authority.pem
	cat <<-TEXT

		The certificate is signed by the stack's own authority, $file
		Whoever comes from another machine needs a copy of this file (not of authority.key), and trusts it once:
		  curl         curl --cacert authority.pem $(stack_url)/
		  Debian       cp authority.pem /usr/local/share/ca-certificates/warren_$PREFIX.crt && update-ca-certificates
		  browsers     import it in the settings, where certificates are, as an authority for web sites
	TEXT
}
