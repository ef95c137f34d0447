#!/usr/bin/env bash
# Store what dbt says of production as deployed here, for scripts/slim-build.sh of later pull requests:
#   scripts/store-manifest.sh FOLDER
set -euo pipefail
mkdir -p "$1"
folder=$(realpath "$1")
cd "$(dirname "$0")/.."
[ -x .venv/bin/dbt ] && PATH=$PWD/.venv/bin:$PATH

made=$(mktemp -d "$folder/.made.XXXXXX")
trap 'rm -rf "$made"' EXIT
dbt --quiet parse --target prod --target-path "$made"
# Whoever reads it meanwhile reads the old one or the new one.
mv "$made/manifest.json" "$folder/manifest.json"
git rev-parse HEAD >"$folder/commit"
echo "$folder/manifest.json"
