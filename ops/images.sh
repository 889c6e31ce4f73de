# shellcheck shell=bash
# How the images are built. Which ones and when: build.sh, and ops/tools.sh for those of the tools.
# Sourced after settings.sh and ops/lib.sh, never run.

outdated=() # images that are built anew, whatever the cache has: see build.sh --refresh

# start_from_base: what images that start from the base are told, in from_base.
start_from_base() { from_base=(--build-arg "BASE=$BASE" --build-arg "WARREN_UID=$WARREN_UID" --build-arg "WARREN_GID=$WARREN_GID"); }

# What Flask, Celery and Flower share. No label tells whose it is or which version: so it is the same image for every
# stack, and its layers, as well as those on top of it, are made only once.
build_python() {
	local from_base
	start_from_base
	docker_build jobs "${PREFIX}_python" "${from_base[@]}"
}

# build_image NAME: from the Dockerfile in that folder.
build_image() {
	local from_base version
	start_from_base
	version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$WARREN_DIR/jobs/__init__.py")
	case $1 in
	flask | celery | flower) from_base=(--build-arg "PYTHON_IMAGE=${PREFIX}_python") ;;
	patroni) from_base=(--build-arg "POSTGRES=${PREFIX}_postgres") ;;
	esac
	docker_build "$1" "${PREFIX}_$1" "${from_base[@]}" \
		--label "warren.stack=$PREFIX" --label "org.opencontainers.image.version=$version"
}

# docker_build FOLDER TAG ARGUMENT...
docker_build() {
	local folder=$1 tag=$2
	shift 2
	if [[ " ${outdated[*]} " == *" $tag "* ]]; then set -- --no-cache "$@"; fi
	# An attestation would give an unchanged image a new id, and so a new container, every time.
	BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --file "$WARREN_DIR/$folder/Dockerfile" --tag "$tag" "$@" "$WARREN_DIR"
}
