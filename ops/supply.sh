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

# run_briefly ARGUMENT...: a container that may do nothing but compute.
run_briefly() {
	docker run --rm --interactive --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges "$@"
}

# debian_updates IMAGE...: what Debian has a newer version of, one package per line:
# IMAGE PACKAGE VERSION NEWER-VERSION security|other. The base asks Debian, once for all images; these only tell their lists.
debian_updates() {
	local number images=("$@") rest
	for number in "${!images[@]}"; do
		printf '== %d\n' "$number"
		run_briefly --network none "${images[number]}" cat /var/lib/dpkg/status </dev/null || exit
	done | docker run --rm --interactive "$BASE" bash -c "$ASK_DEBIAN" | while read -r number rest; do
		printf '%s %s\n' "${images[number]}" "$rest"
	done
}

# --error-on=any: else apt-get takes an archive that does not answer for one that has nothing new.
# shellcheck disable=SC2016  # for the shell in the container
ASK_DEBIAN='
	set -e -o pipefail
	cd /tmp
	awk '\''/^== / { file = $2; next } { print >file }'\''
	apt-get update --quiet=2 --error-on=any
	for number in [0-9]*; do
		apt-get --simulate --option "Dir::State::status=/tmp/$number" upgrade --with-new-pkgs |
			awk -v number="$number" '\''/^Inst [^ ]+ \[/ {
				gsub(/[][(]/, "")
				print number, $2, $3, $4, /[Ss]ecurity/ ? "security" : "other"
			}'\''
	done
'
