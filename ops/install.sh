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

# Only what is missing. A Docker that was installed in another way stays.
install_packages() {
	local missing=() program
	if ! docker_is_here; then missing+=(docker.io); fi
	for program in iptables debootstrap curl; do
		if ! command -v "$program" >/dev/null; then missing+=("$program"); fi
	done
	if [[ ! -e /etc/ssl/certs/ca-certificates.crt ]]; then missing+=(ca-certificates); fi
	if [[ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]]; then missing+=(debian-archive-keyring); fi
	if [[ ${#missing[@]} -eq 0 ]]; then return; fi
	export DEBIAN_FRONTEND=noninteractive
	step 'package lists' apt-get update
	# Since Debian 13 the client is a package of its own.
	if [[ ${missing[0]} == docker.io ]] && apt-cache show docker-cli >/dev/null 2>&1; then missing+=(docker-cli); fi
	step "packages: ${missing[*]}" apt-get install --yes --no-install-recommends "${missing[@]}"
}

# docker_is_here: an engine answers, or both the client and the engine are installed. A client alone is not enough.
docker_is_here() {
	if engine_answers; then return; fi
	command -v docker >/dev/null && command -v dockerd >/dev/null
}

engine_answers() { docker version >/dev/null 2>&1; }

start_docker() {
	if ! engine_answers; then step 'Docker engine' start_engine; fi
}

start_engine() {
	local second
	if [[ -d /run/systemd/system ]]; then
		systemctl enable --now docker
	else
		setsid dockerd >"$DOCKERD_LOG" 2>&1 </dev/null &
	fi
	for ((second = 0; second < 60; second++)); do
		if engine_answers; then return; fi
		sleep 1
	done
	tail -n 5 "$DOCKERD_LOG" 2>/dev/null
	die 'the Docker engine was started but does not answer' \
		"See its log: $DOCKERD_LOG, or with systemd: journalctl --unit docker"
}
