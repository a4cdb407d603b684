#!/usr/bin/env bash
# Everything that must pass: lint, unit, race, both databases, end to end,
# fuzz targets for a few seconds each, and the official clients.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
chmod 755 "$work"
step() { printf '\n== %s (%ds)\n' "$1" "$SECONDS"; }
cleanup() {
  if [ -n "${started:-}" ]; then scripts/postgres.sh stop "$work/postgres"; fi
  rm -rf "$work"
}
trap cleanup EXIT

if [ -z "${PORTOLAN_TEST_POSTGRES:-}" ]; then
  step "PostgreSQL"
  PORTOLAN_TEST_POSTGRES=$(scripts/postgres.sh start "$work/postgres" 2>"$work/postgres.log") || {
    cat "$work/postgres.log" >&2
    exit 1
  }
  export PORTOLAN_TEST_POSTGRES
  started=yes
fi
export CI=true # no database is skipped

step "build"
go build ./...
step "lint"
make lint
step "modules are tidy"
go mod tidy -diff
step "unit and end to end"
go test ./...
step "race"
# The detector watches everything but SQLite, which is C translated to Go and
# takes ten times as long under it.
# A command that ends waits a second for races, unless told not to.
GORACE=atexit_sleep_ms=10 go test -race -short -gcflags='modernc.org/sqlite/lib=-race=false' -gcflags='modernc.org/libc/...=-race=false' ./...
step "faults"
go test ./test/faults -count=1 -faults.set=short
step "distribution v3 in process"
(cd test/distribution && go vet ./... && go test ./...)
step "fuzz"
scripts/fuzz.sh 5s
step "official clients"
scripts/clients.sh
step "done"
