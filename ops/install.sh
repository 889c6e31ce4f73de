# shellcheck shell=bash
# ./build.sh --install: bring what is missing from Debian's packages and start the Docker engine.
# Sourced after settings.sh and ops/lib.sh, never run.

DOCKERD_LOG=/var/log/dockerd.log

install_and_start_docker() {
	[[ $EUID -eq 0 ]] || die '--install needs root' 'Run: sudo ./build.sh --install'
	command -v apt-get >/dev/null || die '--install knows Debian and Ubuntu only' \
		'Install Docker as https://docs.docker.com/engine/install/ says, then run: ./build.sh'
	install_packages
	start_docker
}

# Only what is missing: a Docker of another origin stays. A client by itself is none.
install_packages() {
	local missing=()
	docker version >/dev/null 2>&1 || { command -v docker && command -v dockerd; } >/dev/null || missing+=(docker.io)
	command -v iptables >/dev/null || missing+=(iptables)
	command -v debootstrap >/dev/null || missing+=(debootstrap)
	command -v curl >/dev/null || missing+=(curl)
	[[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
	[[ ${#missing[@]} -gt 0 ]] || return 0
	export DEBIAN_FRONTEND=noninteractive
	step 'package lists' apt-get update
	# Since Debian 13 the client is a package of its own.
	[[ ${missing[0]} != docker.io ]] || ! apt-cache show docker-cli >/dev/null 2>&1 || missing+=(docker-cli)
	step "packages: ${missing[*]}" apt-get install --yes --no-install-recommends "${missing[@]}"
}

start_docker() {
	! docker version >/dev/null 2>&1 || return 0
	step 'Docker engine' start_engine
}

start_engine() {
	local second
	if [[ -d /run/systemd/system ]]; then
		systemctl enable --now docker
	else
		setsid dockerd >"$DOCKERD_LOG" 2>&1 </dev/null &
	fi
	for ((second = 0; second < 60; second++)); do
		! docker version >/dev/null 2>&1 || return 0
		sleep 1
	done
	tail -n 5 "$DOCKERD_LOG" 2>/dev/null
	die 'the Docker engine was started but does not answer' \
		"See its log: $DOCKERD_LOG, or with systemd: journalctl --unit docker"
}
