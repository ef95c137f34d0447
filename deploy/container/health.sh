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
    DAGSTER_HOME=$(python -c 'from lakehouse.settings import settings; print(settings().dagster_home)')
    export DAGSTER_HOME
    dagster-daemon liveness-check
    ;;
  mlflow) answers http://127.0.0.1:5000/health ;;
  service) answers http://127.0.0.1:8100/health ;;
  # A command is healthy as long as it runs.
  *) ;;
esac
