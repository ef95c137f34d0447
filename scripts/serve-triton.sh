#!/usr/bin/env bash
# Serve a model repository on loopback, until Ctrl-C, after scripts/install-triton.sh:
#   scripts/serve-triton.sh REPOSITORY [HTTP_PORT] [GRPC_PORT] [tritonserver's own options …]
set -euo pipefail
repository=$(realpath "$1")
cd "$(dirname "$0")/../.setup/triton"
server=$PWD/wheel/pytriton/tritonserver
export PYTHONPATH=$PWD/packages
exec "$server/bin/tritonserver" --model-repository="$repository" --backend-directory="$server/backends" \
  --http-address=127.0.0.1 --http-port="${2:-8000}" --grpc-address=127.0.0.1 --grpc-port="${3:-8001}" \
  --allow-metrics=false "${@:4}"
