#!/usr/bin/env bash
# Let the running stack take up a renewed certificate.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/ownership.sh
source "$WARREN_DIR/ops/ownership.sh"
# shellcheck source=ops/preflight.sh
source "$WARREN_DIR/ops/preflight.sh"
# shellcheck source=ops/tls.sh
source "$WARREN_DIR/ops/tls.sh"

usage() {
	cat <<-HELP
		Usage: ops/certificate.sh

		Checks TLS_CERT and TLS_KEY, copies them for Nginx, and lets it take them up without a gap. Where they are not
		set, it renews the certificate of the stack's own authority, if that ends within 90 days. ./build.sh does the same.
		This is made for those who renew certificates by themselves: as the deploy hook of certbot, or once a week in cron.
		Give the settings with which you built the stack, or write them into settings.sh.

		Examples:
		  ops/certificate.sh
		  TLS_CERT=/etc/ssl/warren.pem TLS_KEY=/etc/ssl/private/warren.key ops/certificate.sh
	HELP
}

main() {
	help_if_asked "$@"
	[[ $# -eq 0 ]] || die "unknown argument: $1" 'See: ops/certificate.sh --help'
	[[ $TLS == on ]] || die 'TLS is off, so there is no certificate' 'To switch it on: TLS=on ./build.sh'
	check_tls
	require_running "$NGINX_CONTAINER"
	check_home
	check_owner SECRETS_DIR
	# Who renews certificates comes only once, so this waits for another script.
	take_lock || flock --timeout 600 "$lock" || die "another script is at work on the stack $PREFIX" \
		'Wait until it is done, then run this again.'
	step 'certificate' bring_certificate
	step "$NGINX_CONTAINER" tell_nginx refresh
}

main "$@"
