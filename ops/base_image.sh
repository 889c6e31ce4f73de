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
		Usage: ops/base_image.sh

		Provides the base image $BASE, unless it is there already:
		  1. BASE_IMAGE, if that is set;
		  2. else $SLIM from its registry;
		  3. else the same made by debootstrap from DEBIAN_MIRROR (as root, half a minute).
		The last two get the newest patches and this machine's extra certificates. To do it anew:
		  docker rmi $BASE && ./build.sh
	HELP
}

main() {
	help_if_asked "$@"
	# One at a time: a second stack that is built meanwhile waits here and then has it.
	exec {lock}<"$WARREN_DIR/ops/base"
	flock "$lock"
	if image_exists "$BASE"; then return; fi
	if [[ -n $BASE_IMAGE ]]; then
		docker pull "$BASE_IMAGE" || die "BASE_IMAGE $BASE_IMAGE is neither here nor can it be pulled" \
			'Check its name, or leave BASE_IMAGE unset: ./build.sh then finds or makes a base itself.'
		return
	fi

	# Not /tmp: it is often mounted noexec or nodev, and small.
	work=$(mktemp --directory --tmpdir=/var/tmp warren_base.XXXXXX)
	trap clean_up EXIT
	if ! image_exists "$SLIM" && ! docker pull "$SLIM"; then
		SLIM=warren_slim:trixie
		make_slim
	fi
	add_certificates_and_patches
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
	debootstrap --variant=minbase --include=ca-certificates trixie "$root" "$DEBIAN_MIRROR" || die \
		"debootstrap could not make Debian from $DEBIAN_MIRROR" \
		'Check the network, or name a nearer mirror: DEBIAN_MIRROR=http://... ./build.sh --install'
	# debootstrap's first packages are unpacked without dpkg, documentation and all.
	rm -rf "$root"/var/{cache/apt,lib/apt/lists}/* "$root"/usr/share/{doc,info,lintian,locale,man}/*
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
	docker build --build-arg SLIM="$SLIM" --tag "$BASE" "$work/context"
}

main "$@"
