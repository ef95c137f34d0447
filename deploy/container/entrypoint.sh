#!/usr/bin/env bash
# What a container of the image does: engine | webserver | daemon | mlflow | service, or any command, as in
#   lakehouse train --spec arrival_delay --as-of 2013-10-01
# A variable NAME_FILE is read into NAME, so that secrets can be files.
set -euo pipefail
cd /app

for variable in $(compgen -e); do
  case $variable in
    LAKEHOUSE_*_FILE | SPARK_REMOTE_FILE | MLFLOW_*_FILE)
      value=$(<"${!variable}")
      export "${variable%_FILE}=$value"
      unset "$variable"
      ;;
  esac
done

# Sets DAGSTER_HOME, and what keeps everything quiet.
with_dagster() {
  variables=$(python -c 'from orchestration.instance import environment
print(*(f"{name}={value}" for name, value in environment().items()))')
  # shellcheck disable=SC2086 # one word each
  exec env $variables "$@"
}

role=${1:-}
case $role in
  engine | webserver | daemon | mlflow | service) echo "$role" >/tmp/role ;;
esac
case $role in
  engine)
    # Started and watched as on any machine; who shares this container's network keeps it when the engine dies.
    trap 'lakehouse down --force; exit 0' TERM INT
    while lakehouse up; do
      pid=$(lakehouse status --json | python -c 'import json, sys; print(json.load(sys.stdin)["pid"] or 1)')
      tail --pid="$pid" --follow /dev/null &
      wait $!
      echo "the engine ended; another one is started" >&2
    done
    exit 1
    ;;
  webserver) with_dagster dagster-webserver --host 0.0.0.0 --port 3000 --path-prefix /dagster ;;
  daemon) with_dagster dagster-daemon run ;;
  mlflow)
    # Where its database is, and where files go, stand in MLFLOW_BACKEND_STORE_URI and
    # MLFLOW_ARTIFACTS_DESTINATION. Eight processes for jobs, which nothing here uses, are left out.
    export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
    exec mlflow server --host 0.0.0.0 --port 5000 --workers 1
    ;;
  service)
    shift
    exec lakehouse serve --host 0.0.0.0 --port 8100 "$@"
    ;;
  *) exec "$@" ;;
esac
