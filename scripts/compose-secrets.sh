#!/usr/bin/env bash
# The secrets of deploy/compose, made at random, once; what is there stays. Their folder is its owner's alone; the
# files themselves are mounted, and read by the containers' nobody.
set -euo pipefail
cd "$(dirname "$0")/../deploy/compose"
mkdir -p secrets
chmod 0700 secrets

# write NAME TEXT
write() {
  [ -s "secrets/$1" ] && return
  printf '%s' "$2" >"secrets/.$1"
  # Compose mounts the file as it is: the number of its reader is another one in the container.
  chmod 0644 "secrets/.$1"
  mv "secrets/.$1" "secrets/$1"
}
made() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

for name in postgres_password redis_password s3_access_key s3_secret_key serve_token; do
  write "$name" "$(made)"
done
postgres=postgresql://lakehouse:$(<secrets/postgres_password)@postgres:5432
write dagster_database "$postgres/dagster"
write mlflow_database "${postgres/postgresql:/postgresql+psycopg2:}/mlflow"
write online_store "redis://:$(<secrets/redis_password)@redis:6379/0"
write redis_configuration "requirepass $(<secrets/redis_password)
appendonly yes
"
write s3_credentials "[default]
aws_access_key_id = $(<secrets/s3_access_key)
aws_secret_access_key = $(<secrets/s3_secret_key)
"
echo "deploy/compose/secrets"
