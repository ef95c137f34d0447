#!/usr/bin/env bash
# Triton Inference Server for CPUs, what exported models need in it, and a client: into .setup/triton, from PyPI by
# checksums, once. None of it is the project's environment.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$PWD/.setup/triton
stamp=$home/$(cat deploy/triton/*.lock | sha256sum | cut -c1-16).done

# Its Python backend loads this library, which Debian has in a package of its own.
if ! ldconfig -p | grep -q libpython3.11.so.1.0; then
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get install --yes --no-install-recommends libpython3.11
fi
if [ ! -f "$stamp" ]; then
  rm -rf "$home"
  install=(.setup/uv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes)
  "${install[@]}" --target "$home/packages" -r deploy/triton/requirements.lock
  "${install[@]}" --target "$home/client" -r deploy/triton/client.lock
  "${install[@]}" --target "$home/wheel" --no-deps -r deploy/triton/server.lock
  server=$home/wheel/pytriton/tritonserver
  cp "$server/python_backend_stubs/3.11/triton_python_backend_stub" "$server/backends/python/"
  chmod +x "$server/backends/python/triton_python_backend_stub" "$server/bin/tritonserver"
  touch "$stamp"
fi
