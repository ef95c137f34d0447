#!/usr/bin/env bash
# Run a command in a network namespace that has only loopback, as in `scripts/no-network.sh make demo`: proof that
# nothing needs the network after set-up. Needs util-linux and iproute2, and no rights beyond one's own.
set -euo pipefail
exec unshare --map-root-user --net -- bash -c 'ip link set lo up && exec "$@"' no-network "$@"
