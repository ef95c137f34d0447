#!/usr/bin/env bash
# What set-up itself needs, before there is a Python environment that could look: `lakehouse doctor` knows the rest.
set -euo pipefail
python=$1
failed=0

missing() {
  printf 'MISSING  %s\n  → %s\n' "$1" "$2" >&2
  failed=1
}

if ! command -v "$python" >/dev/null || ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
  missing "Python 3.11 (looked for \`$python\`)" "install it, or say where it is: make setup PYTHON=/path/to/python3.11"
elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  missing "Python's venv module" "Debian: apt-get install python3.11-venv"
fi

# Java comes with the lock; one that is set is taken instead.
if [ -n "${JAVA_HOME:-}" ] && ! grep -qE '^JAVA_VERSION="(17|21)[."]' "$JAVA_HOME/release" 2>/dev/null; then
  missing "Java 17 or 21 in JAVA_HOME=$JAVA_HOME" "unset JAVA_HOME, or set it to one of these"
fi

free_gib=$(df --output=avail -BG . | tail -n 1 | tr -dc '0-9')
if [ ! -d .venv ] && [ "$free_gib" -lt 14 ]; then
  missing "disk: ${free_gib} GiB free here, 14 are needed (8 of them for Python packages)" "free some space"
fi

memory_gib=$(awk '/MemTotal/ {printf "%d", $2 / 1048576 + 0.5}' /proc/meminfo)
if [ "$memory_gib" -lt 6 ]; then
  missing "memory: ${memory_gib} GiB, 6 are needed" "use a larger machine"
fi

exit "$failed"
