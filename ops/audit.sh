#!/usr/bin/env bash
# Ask which packages of the images have known holes, and say what mends them.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"
# shellcheck source=ops/images.sh
source "$WARREN_DIR/ops/images.sh"
# shellcheck source=ops/supply.sh
source "$WARREN_DIR/ops/supply.sh"

FOUND=10 # what audit.py ends with; Python itself ends with 1 when it fails

usage() {
	cat <<-HELP
		Usage: ops/audit.sh [--osv URL] [--tracker URL]

		Asks for each package in the images of the stack $PREFIX whether a hole in it is known: PyPI for those of
		Python, Debian's archive and Debian's security tracker for the others. Says which version mends it, and what
		to do. It changes nothing.

		  --osv URL      ask this server, which speaks as https://api.osv.dev/v1/query does, in place of PyPI
		  --tracker URL  a copy of Debian's security tracker

		Exit code: 0 nothing is known; 1 something is; 2 PyPI or Debian could not be asked, and why is above.
	HELP
}

main() {
	local images arguments=()
	help_if_asked "$@"
	trap give_up EXIT
	while [[ $# -gt 0 ]]; do
		case $1 in
		--osv | --tracker) [[ ${2-} =~ ^https?://[^[:space:]]+$ ]] || die "not an address for $1: ${2:-nothing}" 'Give one that begins with https:// or http://' ;;
		*) die "unknown argument: $1" 'See: ops/audit.sh --help' ;;
		esac
		arguments+=("$1" "$2")
		shift 2
	done
	require_docker
	mapfile -t images < <(stack_images | cut --delimiter ' ' --fields 1)
	[[ ${#images[@]} -gt 0 ]] || die "there are no images of the stack $PREFIX" 'Build them with: ./build.sh'

	step 'what the images are made of' "$WARREN_DIR/ops/sbom.sh"
	shared_folder
	if debian_updates "${images[@]}" >"$shared/updates.part" 2>"$shared/why"; then mv "$shared/updates.part" "$shared/updates"; fi
	run_briefly "$shared" --volume "$SBOM_DIR:/sbom:ro" "${PREFIX}_supply" python audit.py "${arguments[@]}" || status=$?
	case ${status:=0} in
	0) ;;
	"$FOUND") status=1 ;;
	*) status=2 ;;
	esac
	cat "$shared/report"
}

# give_up: at the end, whatever it was. What was not looked at must not count as found, nor as fine.
give_up() {
	if [[ -n ${shared-} ]]; then remove_shared; fi
	exit "${status-2}"
}

main "$@"
