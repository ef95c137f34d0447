#!/usr/bin/env bash
# PostgreSQL and Redis for the tests of database sources and of the online store, from Debian, where they lack.
# Neither package starts a server here.
set -euo pipefail
wanted=()
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || wanted+=(postgresql)
command -v redis-server >/dev/null || wanted+=(redis-server)
[ ${#wanted[@]} -gt 0 ] || exit 0
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
# PostgreSQL's package makes and starts a server of its own, unless its configuration says not to.
"${as_root[@]}" mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] ||
  echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
# Redis' package starts its service, unless the machine's policy forbids it: one that has none gets one for now.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
fi
"${as_root[@]}" apt-get install --yes --no-install-recommends "${wanted[@]}"
