#!/bin/bash
# The certificate of the stack, by openssl; ops/tls.sh runs this in a container of its own.
#   certificate.sh check         is what comes on standard input a certificate and its key, as Nginx needs them?
#   certificate.sh make NAME...  make a certificate for these names and addresses, unless there is a good one; and an
#                                authority that signs it, unless there is one
set -Eeuo pipefail

AUTHORITY=/secrets/authority
SERVER=/secrets/tls/server.pem # chain and key in one file
NEW=/tmp/new.pem SETUP=/tmp/openssl.conf
DAY=$((24 * 3600))

# fault MESSAGE REMEDY, like `die` of the scripts
fault() {
	printf 'error: %s\n\n%s\n' "$1" "$2" >&2
	exit 1
}

check() {
	local of_certificate of_key
	cat >"$NEW"
	of_certificate=$(openssl x509 -in "$NEW" -noout -pubkey) ||
		fault 'TLS_CERT has no certificate' 'It has to be PEM: text that begins with -----BEGIN CERTIFICATE-----'
	of_key=$(openssl pkey -in "$NEW" -passin pass: -pubout) ||
		fault 'TLS_KEY has no key that can be read' 'It has to be PEM, without a passphrase.'
	[[ $of_certificate == "$of_key" ]] || fault 'TLS_CERT and TLS_KEY do not belong together' \
		'Give the key with which this certificate was asked for. In TLS_CERT, it comes before those of its authorities.'
	openssl x509 -in "$NEW" -noout -checkend 0 >/dev/null ||
		fault "the certificate in TLS_CERT has expired: $(openssl x509 -in "$NEW" -noout -enddate)" 'Renew it.'
}

# The authority stays as long as it can, for people trust it. It signs only for names that it was made for: so who gets
# its key cannot pretend to be somebody else.
make() {
	if is_good "$SERVER" 90 "$@"; then return; fi
	if [[ -s $AUTHORITY.pem ]] && openssl x509 -in "$AUTHORITY.pem" -noout -checkend $((400 * DAY)) >/dev/null; then
		make_certificate "$@"
	fi
	if ! is_good "$NEW" 360 "$@"; then
		make_authority "$@"
		make_certificate "$@"
		is_good "$NEW" 360 "$@" || fault 'openssl has made no good certificate' "For these names: $*"
	fi
	cp "$NEW" "$SERVER.part"
	mv "$SERVER.part" "$SERVER"
}

# is_good FILE DAYS NAME...: has our authority signed it, for all of these, and is it good for so many days?
is_good() {
	local file=$1 days=$2 name
	shift 2
	[[ -s $file && -s $AUTHORITY.pem ]] || return
	openssl verify -x509_strict -purpose sslserver -CAfile "$AUTHORITY.pem" "$file" >/dev/null 2>&1 || return
	openssl x509 -in "$file" -noout -checkend $((days * DAY)) >/dev/null || return
	for name in "$@"; do
		case $(kind "$name") in
		DNS) openssl x509 -in "$file" -noout -checkhost "$name" ;;
		IP) openssl x509 -in "$file" -noout -checkip "$name" ;;
		esac | grep --quiet ' does match certificate$' || return
	done
}

# Ten years. Besides the names, any private address: those of a machine change.
make_authority() {
	local name number=0
	{
		configuration CA:true,pathlen:0 keyCertSign
		printf '%s\n' 'nameConstraints = critical, @permitted' '[permitted]' \
			'permitted;IP.a = 127.0.0.0/255.0.0.0' \
			'permitted;IP.b = 10.0.0.0/255.0.0.0' \
			'permitted;IP.c = 172.16.0.0/255.240.0.0' \
			'permitted;IP.d = 192.168.0.0/255.255.0.0'
		for name in "$@"; do
			number=$((number + 1))
			case $(kind "$name") in
			DNS) printf 'permitted;DNS.%d = %s\n' "$number" "$name" ;;
			IP) printf 'permitted;IP.%d = %s/%s\n' "$number" "$name" "$(whole_mask "$name")" ;;
			esac
		done
	} >"$SETUP"
	request -subj "/CN=Warren $PREFIX authority" -days 3650 -keyout "$AUTHORITY.key.part" -out "$AUTHORITY.pem.part"
	mv "$AUTHORITY.key.part" "$AUTHORITY.key"
	mv "$AUTHORITY.pem.part" "$AUTHORITY.pem"
}

# One year: browsers take none that is good for much longer.
make_certificate() {
	local name names=()
	for name in "$@"; do names+=("$(kind "$name"):$name"); done
	{
		configuration CA:false digitalSignature
		printf 'authorityKeyIdentifier = keyid\nsubjectAltName = '
		(IFS=, && printf '%s\n' "${names[*]}")
	} >"$SETUP"
	request -subj "/CN=Warren $PREFIX" -days 365 -CA "$AUTHORITY.pem" -CAkey "$AUTHORITY.key" \
		-keyout /tmp/key.pem -out /tmp/certificate.pem
	cat /tmp/certificate.pem /tmp/key.pem >"$NEW"
}

# configuration CONSTRAINTS USAGE: of openssl, to which more extensions may be added.
configuration() {
	printf '%s\n' '[req]' 'distinguished_name = subject' '[subject]' '[extensions]' "basicConstraints = critical, $1" \
		"keyUsage = critical, $2" 'extendedKeyUsage = serverAuth' 'subjectKeyIdentifier = hash'
}

request() {
	openssl req -x509 -config "$SETUP" -extensions extensions -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc "$@"
}

kind() { if [[ $1 == *:* || $1 =~ ^[0-9.]+$ ]]; then echo IP; else echo DNS; fi; }

# whole_mask ADDRESS: for this address and no other
whole_mask() { if [[ $1 == *:* ]]; then echo ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff; else echo 255.255.255.255; fi; }

umask 077
case ${1:-} in
check) check ;;
make) make "${@:2}" ;;
*)
	echo 'Usage: certificate.sh check | make NAME...' >&2
	exit 2
	;;
esac
