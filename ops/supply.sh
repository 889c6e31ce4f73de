# shellcheck shell=bash
# What the images of the stack are made of, and what of it Debian has renewed since.
# Sourced after settings.sh, ops/lib.sh and ops/images.sh, never run.

# stack_images: name and id of each image that the stack has, one per line.
stack_images() {
	docker image ls --no-trunc --filter "label=warren.stack=$PREFIX" --filter dangling=false \
		--format '{{.Repository}} {{.ID}}' | sort --unique
}

# build_supply: the tools that read SBOMs and write them.
build_supply() { docker_build ops/supply "${PREFIX}_supply" --build-arg "PYTHON_IMAGE=${PREFIX}_python"; }

# run_briefly FOLDER ARGUMENT...: a container that may do nothing but compute, and write to this folder, its /shared. What
# it has to tell goes there: on a busy machine Docker may lose the end of what a container prints.
run_briefly() {
	docker run --rm --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
		--cpu-shares "$CELERY_CPU_SHARES" --volume "$1:/shared" "${@:2}" # containers that start go first
}

# shared_folder: a new folder, its name in `shared`. Containers may write to it as whatever user, but nobody else on this
# machine can: the folder above it is closed.
shared_folder() {
	shared=$(mktemp --directory)/shared
	mkdir --mode 777 "$shared"
}

remove_shared() { rm -rf "${shared%/shared}"; }

# debian_updates IMAGE...: what Debian has a newer version of, one package per line:
# IMAGE PACKAGE VERSION NEWER-VERSION security|other. The base asks Debian, once for all images; these only tell their lists.
debian_updates() (
	shared_folder
	trap remove_shared EXIT
	images=("$@")
	for number in "${!images[@]}"; do
		run_briefly "$shared" --network none "${images[number]}" cp /var/lib/dpkg/status "/shared/$number" || exit
	done
	docker run --rm --volume "$shared:/shared" "$BASE" bash -c "$ASK_DEBIAN" >&2 || exit
	while read -r number rest; do
		printf '%s %s\n' "${images[number]}" "$rest"
	done <"$shared/updates"
)

# --error-on=any: else apt-get takes an archive that does not answer for one that has nothing new.
# shellcheck disable=SC2016  # for the shell in the container
ASK_DEBIAN='
	set -e -o pipefail
	cd /shared
	apt-get update --quiet=2 --error-on=any
	for number in [0-9]*; do
		apt-get --simulate --option "Dir::State::status=/shared/$number" upgrade --with-new-pkgs |
			awk -v number="$number" '\''/^Inst [^ ]+ \[/ {
				gsub(/[][(]/, "")
				print number, $2, $3, $4, /[Ss]ecurity/ ? "security" : "other"
			}'\''
	done >updates
'
