# shellcheck shell=bash
# What belongs to whom, so that no script takes over or removes what is another stack's.
# Sourced after settings.sh and ops/lib.sh, never run.
#
# A stack is known by its PREFIX, and belongs to one folder of the project: the label warren.dir of its containers,
# networks and broker volume says which. Data belongs to a stack: a folder has a file .stack with the prefix in it, a
# Docker volume has the label warren.stack.

# --- the stack -----------------------------------------------------------------------------------

# other_home: the other folder of the project that this stack belongs to; nothing if there is none. What has no
# label warren.dir was made by an earlier version, and counts as ours.
other_home() {
	local home choose=(--filter "label=warren.stack=$PREFIX" --format '{{.Label "warren.dir"}}')
	{
		docker ps --all "${choose[@]}"
		docker network ls "${choose[@]}"
		docker volume ls "${choose[@]}"
	} | while read -r home; do
		if [[ -n $home && $home != "$WARREN_DIR" ]]; then printf '%s\n' "$home"; fi
	done | sort --unique | tail -n 1
}

# check_home: refuse to touch a stack that belongs to another folder of the project.
check_home() {
	local home
	home=$(other_home)
	if [[ -n $home ]]; then
		die "the stack $PREFIX belongs to another folder: $home" \
			"Give the one from here another name:  PREFIX=other PORT=$((PORT + 10)) ./build.sh
Or put it in the place of that one, with its own ledger:  ./build.sh --take-over"
	fi
}

# --- its data ------------------------------------------------------------------------------------

# owner_of FOLDER_OR_VOLUME: the prefix of the stack whose data is there; nothing if nobody has claimed it.
owner_of() {
	if [[ $1 != */* ]]; then
		docker volume inspect --format '{{index .Labels "warren.stack"}}' "$1" 2>/dev/null || true
	elif [[ -e $1/.stack ]]; then
		cat "$1/.stack"
	fi
}

owned() { [[ $(owner_of "$1") == "$PREFIX" ]]; }

# check_owner SETTING: refuse a folder or volume that holds the data of another stack.
check_owner() {
	local place=${!1} owner remedy
	owner=$(owner_of "$place")
	if [[ -z $owner || $owner == "$PREFIX" ]]; then return; fi
	remedy="If there is no stack $owner any more:  rm $place/.stack"
	if [[ $place != */* ]]; then remedy="If its data is not needed any more:  docker volume rm $place"; fi
	die "$1 $place belongs to the stack $owner, not to $PREFIX" \
		"Give this stack a place of its own:  $1=... ./build.sh
$remedy"
}

# claim FOLDER_OR_VOLUME: make it if it is not there, and write down whose it is. What an earlier version made, without
# an owner, is adopted. (A volume that is there cannot be given a label.)
claim() {
	if [[ $1 != */* ]]; then
		docker volume create --label "warren.stack=$PREFIX" "$1"
	else
		mkdir --parents "$1"
		if ! owned "$1"; then printf '%s\n' "$PREFIX" >"$1/.stack"; fi
	fi
}
