#!/usr/bin/env bash
# Build and test what differs from a base branch, and what stands on it, in your own schema; the rest is read from
# production. For a pull request:   scripts/slim-build.sh origin/main
# More arguments go to dbt, as in   scripts/slim-build.sh main --empty
set -euo pipefail
cd "$(dirname "$0")/.."
base=${1:-main}
shift || true
[ -x .venv/bin/dbt ] && PATH=$PWD/.venv/bin:$PATH

state=$PWD/target/base
tree=$(mktemp -d)
trap 'git worktree remove --force "$tree"' EXIT
git worktree add --quiet --detach "$tree" "$base"
echo "── the manifest of $base, as production has it"
(cd "$tree" && dbt --quiet parse --target prod --target-path "$state")
echo "── what differs from it, and what stands on that"
dbt build --selector changed --defer --state "$state" --exclude-resource-type unit_test "$@"
dbt test --select "state:modified,test_type:unit" --defer --state "$state"
