#!/usr/bin/env bash
# Write what each image of the stack is made of.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/images.sh
source "$WARREN_DIR/ops/images.sh"
# shellcheck source=ops/supply.sh
source "$WARREN_DIR/ops/supply.sh"

usage() {
	cat <<-HELP
		Usage: ops/sbom.sh

		Writes for each image of the stack $PREFIX which packages it has, with their versions and licences, as
		CycloneDX JSON: $SBOM_DIR/IMAGE.cdx.json
		It writes only what has changed, so ./build.sh, which calls it, waits for nothing if there is nothing new.
	HELP
}

main() {
	local image id pids=() changed=()
	help_if_asked "$@"
	[[ $# -eq 0 ]] || die "unknown argument: $*" 'See: ops/sbom.sh --help'
	require_docker
	umask 022 # the user in the container of ops/audit.sh reads them
	# One at a time: build.sh and a tool that is started may both come here.
	exec {lock}<"$WARREN_DIR/ops/supply"
	flock "$lock"
	while read -r image id; do
		if ! grep --quiet --fixed-strings "$id" "$(sbom_of "$image")" 2>/dev/null; then changed+=("$image" "$id"); fi
	done < <(stack_images)
	if [[ ${#changed[@]} -eq 0 ]]; then return; fi

	build_supply
	mkdir --parents "$SBOM_DIR"
	set -- "${changed[@]}"
	while [[ $# -gt 0 ]]; do
		write_sbom "$1" "$2" &
		pids+=($!)
		shift 2
	done
	all_of "${pids[@]}"
}

# sbom_of IMAGE: its file, named without the prefix, which the folder has.
sbom_of() { printf '%s/%s.cdx.json' "$SBOM_DIR" "${1#"${PREFIX}_"}"; }

# write_sbom IMAGE ID: the tools have no way into another image, so it hands out the files that say what is in it.
write_sbom() (
	file=$(sbom_of "$1")
	version=$(docker image inspect --format '{{index .Config.Labels "org.opencontainers.image.version"}}' "$1")
	shared_folder
	trap remove_shared EXIT
	run_briefly "$shared" --network none "$1" bash -c "$HAND_OUT"
	run_briefly "$shared" --network none "${PREFIX}_supply" python sbom.py "$1" "$version" "$2"
	cat "$shared/sbom.json" >"$file.part"
	mv "$file.part" "$file"
)

# --dereference: the copyright of some packages is a link to that of another one.
HAND_OUT='
	cd /
	shopt -s nullglob globstar
	tar --create --dereference --file /shared/files.tar var/lib/dpkg/status var/lib/dpkg/arch* usr/share/doc/*/copyright \
		venv/lib/python*/site-packages/*.dist-info/METADATA app/**/package.json
'

main "$@"
