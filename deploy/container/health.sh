#!/usr/bin/env bash
# Whether a container does what it is for: health.sh [ROLE]; by default the role that it was started with.
set -euo pipefail
cd /app
role=${1:-$(cat /tmp/role)}

answers() {
  python -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10).read()' "$1"
}

case $role in
  engine) lakehouse status --json | grep --quiet '"running": true' ;;
  webserver) answers http://127.0.0.1:3000/dagster/server_info ;;
  daemon)
    # Its database is a secret in a file, which the entry point reads.
    exec deploy/container/entrypoint.sh python -c '
import os
from orchestration.instance import environment
os.environ.update(environment())
os.execvp("dagster-daemon", ["dagster-daemon", "liveness-check"])'
    ;;
  mlflow) answers http://127.0.0.1:5000/health ;;
  service) answers http://127.0.0.1:8100/health ;;
  # A command is healthy as long as it runs.
  *) ;;
esac
