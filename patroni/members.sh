#!/bin/bash
# Say of each of the three PostgreSQL, one per line: its name, what it is, how it is.
set -Eeuo pipefail

exec 3<>/dev/tcp/127.0.0.1/8008
printf 'GET /cluster HTTP/1.0\r\n\r\n' >&3
sed '1,/^\r$/d' <&3 | python3 -c '
import json, sys
for member in json.load(sys.stdin)["members"]:
    print(member["name"], member["role"], member["state"])
'
