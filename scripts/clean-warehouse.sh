#!/usr/bin/env bash
# Delete the warehouse of this clone's settings: tables, metastore, models, runs and landing files. Asks first.
#   scripts/clean-warehouse.sh [warehouse]
set -euo pipefail
cd "$(dirname "$0")/.."

warehouse=$(.venv/bin/python -c 'from lakehouse.settings import settings; print(settings().warehouse.resolve())')
if [ ! -e "$warehouse" ]; then
  echo "there is no warehouse in $warehouse"
  exit 0
fi
# A setting that names somebody's home must not cost it.
if [ ! -d "$warehouse/engine" ] && [ ! -d "$warehouse/tables" ]; then
  echo "error: $warehouse does not look like a warehouse: it has neither engine/ nor tables/" >&2
  exit 3
fi

answer=${1:-}
if [ -z "$answer" ]; then
  echo "This deletes $warehouse ($(du -sh "$warehouse" | cut -f1)): tables, models, runs and what was delivered."
  read -r -p "Type the word warehouse to go on: " answer || true
fi
if [ "$answer" != warehouse ]; then
  echo "error: not confirmed, nothing was deleted" >&2
  exit 3
fi
# Refuses while other processes use the engine.
.venv/bin/lakehouse down >/dev/null
rm -rf -- "$warehouse"
echo "deleted $warehouse"
