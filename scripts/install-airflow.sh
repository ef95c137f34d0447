#!/usr/bin/env bash
# Airflow in an environment of its own: .setup/airflow, from PyPI by checksums, once. Prints the environment's bin.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$PWD/.setup/airflow
stamp=$home/$(sha256sum deploy/airflow/requirements.lock | cut -c1-16).done
if [ ! -f "$stamp" ]; then
  rm -rf "$home"
  .setup/uv/bin/uv venv --quiet --python "$(.venv/bin/python -c 'import sys; print(sys._base_executable)')" "$home"
  .setup/uv/bin/uv pip install --quiet --python "$home/bin/python" --require-hashes -r deploy/airflow/requirements.lock
  touch "$stamp"
fi
echo "$home/bin"
