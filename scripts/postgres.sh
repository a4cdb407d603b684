#!/usr/bin/env bash
# Starts a PostgreSQL of its own for tests and prints its URL:
#   export PORTOLAN_TEST_POSTGRES=$(scripts/postgres.sh start DIR)
#   scripts/postgres.sh stop DIR
# A missing server is installed from the distribution's packages.
set -euo pipefail

action=${1:?usage: postgres.sh start|stop DIR}
dir=${2:?usage: postgres.sh start|stop DIR}

find_bin() {
  local candidate
  for candidate in "$(dirname "$(command -v initdb 2>/dev/null || true)")" /usr/lib/postgresql/*/bin /usr/local/pgsql/bin; do
    if [ -x "$candidate/initdb" ] && [ -x "$candidate/postgres" ]; then
      echo "$candidate"
      return
    fi
  done
}

# PostgreSQL refuses to run as root, so root runs it as the user postgres.
as_owner() {
  if [ "$(id -u)" = 0 ]; then
    su postgres -s /bin/sh -c "cd / && $1"
  else
    sh -c "$1"
  fi
}

bin=$(find_bin)
if [ -z "$bin" ]; then
  {
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql
  } >&2
  bin=$(find_bin)
fi

case $action in
start)
  mkdir -p "$dir"
  if [ "$(id -u)" = 0 ]; then chown postgres "$dir"; fi
  # Nothing has to survive a crash, so nothing is made ready for one.
  port=$(shuf -i 20000-40000 -n 1)
  as_owner "$bin/initdb -D $dir/data -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync" >&2
  as_owner "$bin/pg_ctl -D $dir/data -l $dir/log -w -o \"-p $port -k $dir -c listen_addresses=127.0.0.1 -c fsync=off -c wal_init_zero=off -c max_connections=400\" start" >&2
  echo "postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable"
  ;;
stop)
  as_owner "$bin/pg_ctl -D $dir/data -m immediate stop" >&2 || true
  ;;
*)
  echo "usage: postgres.sh start|stop DIR" >&2
  exit 2
  ;;
esac
