#!/usr/bin/env bash
# Part of the image's build: torch.sh locked | cpu
set -euo pipefail
case $1 in
  locked) ;;
  cpu)
    version=$(sed -nE 's/^torch==([^ ]+).*/\1/p' requirements.lock)
    uv=.setup/uv/bin/uv
    mapfile -t cuda < <("$uv" pip freeze --python .venv/bin/python | sed -nE 's/^((nvidia|cuda)-[a-z0-9-]+|triton)==.*/\1/p')
    "$uv" pip uninstall --python .venv/bin/python "${cuda[@]}"
    "$uv" pip install --python .venv/bin/python --torch-backend=cpu --reinstall-package torch "torch==$version"
    ;;
  *)
    echo "TORCH=$1 is neither locked nor cpu" >&2
    exit 2
    ;;
esac
.venv/bin/python -c 'import torch; print("torch", torch.__version__)'
