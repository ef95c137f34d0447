#!/usr/bin/env bash
# Build and test what differs from production, and what stands on it, in your own schema; the rest is read from
# production. For a pull request, against the manifest that scripts/store-manifest.sh stored at the last deploy:
#   scripts/slim-build.sh FOLDER
# or, without one, against what a branch says:
#   scripts/slim-build.sh origin/main
# More arguments go to dbt, as in   scripts/slim-build.sh main --empty
set -euo pipefail
cd "$(dirname "$0")/.."
base=${1:-main}
shift || true
[ -x .venv/bin/dbt ] && PATH=$PWD/.venv/bin:$PATH

if [ -f "$base/manifest.json" ]; then
  state=$(realpath "$base")
  echo "── the manifest in $base, stored at the last deploy"
else
  state=$PWD/target/base
  tree=$(mktemp -d)
  trap 'git worktree remove --force "$tree"' EXIT
  git worktree add --quiet --detach "$tree" "$base"
  echo "── the manifest of $base, as production has it"
  (cd "$tree" && dbt --quiet parse --target prod --target-path "$state")
fi
echo "── what differs from it, and what stands on that"
dbt build --selector changed --defer --state "$state" --exclude-resource-type unit_test "$@"
dbt test --select "state:modified,test_type:unit" --defer --state "$state"
