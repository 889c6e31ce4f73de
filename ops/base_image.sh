#!/usr/bin/env bash
# Provide the Debian base image that every image of the stack starts FROM.
set -Eeuo pipefail
# shellcheck source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
# shellcheck source=ops/lib.sh
source "$WARREN_DIR/ops/lib.sh"

SLIM=debian:trixie-slim

usage() {
	cat <<-HELP
		Usage: ops/base_image.sh [--refresh]

		Provides the base image $BASE, unless it is there already:
		  1. BASE_IMAGE, if that is set;
		  2. else $SLIM from its registry;
		  3. else the same made by debootstrap from DEBIAN_MIRROR (as root, half a minute).
		The last two get the newest patches and this machine's extra certificates. They are made again after ops/base/
		has changed.

		  --refresh  make it again in any case. ./build.sh --refresh does so if Debian has patches for it
	HELP
}

main() {
	local refresh=false old
	help_if_asked "$@"
	case $* in
	'') ;;
	--refresh) refresh=true ;;
	*) die "unknown argument: $*" 'See: ops/base_image.sh --help' ;;
	esac
	# One at a time: a second stack that is built meanwhile waits here and then has it.
	exec {lock}<"$WARREN_DIR/ops/base"
	flock "$lock"
	recipe=$(cat "$WARREN_DIR"/ops/base/* | sha256sum | cut --characters 1-16)
	if [[ $refresh == false ]] && is_right; then return; fi
	if [[ -n $BASE_IMAGE ]]; then
		# One that is only here stays as it is: each image brings Debian's patches for what is in it.
		docker pull "$BASE_IMAGE" || image_exists "$BASE" || die "BASE_IMAGE $BASE_IMAGE is neither here nor can it be pulled" \
			'Check its name, or leave BASE_IMAGE unset: ./build.sh then finds or makes a base itself.'
		return
	fi

	# Not /tmp: it is often mounted noexec or nodev, and small.
	work=$(mktemp --directory --tmpdir=/var/tmp warren_base.XXXXXX)
	trap clean_up EXIT
	old=$(docker image inspect --format '{{.Id}}' "$BASE" 2>/dev/null || true)
	if ! docker pull "$SLIM" && ! image_exists "$SLIM"; then
		SLIM=warren_slim:trixie
		make_slim
	fi
	add_certificates_and_patches
	# It goes when nobody else has a name for it, and no other image needs it.
	if [[ $(docker image inspect --format '{{len .RepoTags}}' "$old" 2>/dev/null) == 0 ]]; then docker rmi "$old" || true; fi
}

# is_right: is the base here, and made as ops/base/ says?
is_right() {
	local made
	made=$(docker image inspect --format '{{index .Config.Labels "warren.recipe"}}' "$BASE" 2>/dev/null) || return
	[[ -n $BASE_IMAGE || $made == "$recipe" ]]
}

# Everything that a failure or a Ctrl-C would leave behind.
clean_up() {
	umount "$work"/root/{proc,sys} 2>/dev/null || true
	rm -rf --one-file-system "$work"
	docker rmi --no-prune warren_slim:trixie >/dev/null 2>&1 || true
}

# What Debian's own slim image is: the minimal system without documentation.
make_slim() {
	local root=$work/root
	[[ $EUID -eq 0 ]] || die "$SLIM cannot be pulled, and only root can make a base image itself" \
		'Run: sudo ./ops/base_image.sh   (or set BASE_IMAGE to a Debian 13 image that is here)'
	command -v debootstrap >/dev/null || die 'no registry answers, and debootstrap is not installed' \
		'Run: ./build.sh --install   (or: apt-get install debootstrap)'

	# dpkg reads its options from the new root, so they count from its first package on.
	install -D -m 644 "$WARREN_DIR/ops/base/dpkg.cfg" "$root/etc/dpkg/dpkg.cfg.d/warren"
	# --force-check-gpg: never without Debian's signature, not even where the keyring is missing.
	debootstrap --force-check-gpg --variant=minbase --include=ca-certificates trixie "$root" "$DEBIAN_MIRROR" || die \
		"debootstrap could not make Debian from $DEBIAN_MIRROR" \
		'Check the network, or name a nearer mirror: DEBIAN_MIRROR=http://... ./build.sh --install
It also needs the package debian-archive-keyring, to check what it gets.'
	# debootstrap's first packages are unpacked without dpkg, documentation and all.
	rm -rf "$root"/var/{cache/apt,lib/apt/lists}/* "$root"/usr/share/{info,lintian,locale,man}/*
	find "$root/usr/share/doc" -type f ! -name copyright -delete
	cat >"$root/etc/apt/sources.list" <<-SOURCES
		deb $DEBIAN_MIRROR trixie main
		deb $DEBIAN_MIRROR trixie-updates main
		deb $DEBIAN_SECURITY_MIRROR trixie-security main
	SOURCES
	tar --directory "$root" --create . | docker import --change 'CMD ["bash"]' - "$SLIM"
}

add_certificates_and_patches() {
	mkdir -p "$work/context/certificates"
	cp "$WARREN_DIR"/ops/base/{Dockerfile,apt.conf,dpkg.cfg} "$work/context"
	if [[ -d /usr/local/share/ca-certificates ]]; then
		find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$work/context/certificates" {} +
	fi
	# Not from the cache: what Debian had then is not what it has now.
	docker build --no-cache --build-arg SLIM="$SLIM" --label "warren.recipe=$recipe" --tag "$BASE" "$work/context"
}

main "$@"
