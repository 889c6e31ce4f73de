#!/usr/bin/env bash
# Take the pictures of the documentation from a running stack.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=settings.sh
source settings.sh
# shellcheck source=ops/lib.sh
source ops/lib.sh

usage() {
	cat <<-'HELP'
		Usage: ops/screenshots.sh [--url URL] [--seconds N] [--output DIRECTORY]

		Submits jobs of every kind to the running stack, and takes pictures of its pages in Chromium, light and
		dark, for a desktop and a phone. Then it records, as a moving picture, how jobs arrive, how their worker is
		killed and how they go on; to kill it, this has to run as root. Best taken from a stack that has just been
		built.

		  --url URL           the stack; as settings.sh says when left out
		  --seconds N         how long to submit jobs, so that the charts have something to show (90)
		  --output DIRECTORY  where the pictures go (docs/images)

		The Python tools are installed into .venvs/, pinned by tests/requirements.txt; Chromium has to be there:
		apt-get install chromium
	HELP
}

help_if_asked "$@"

python=$(ops/python_env.sh tests tests/requirements.txt)
exec "$python" -m tests.browser.screenshots --url "$(stack_url)" --worker "$CELERY_CONTAINER" "$@"
