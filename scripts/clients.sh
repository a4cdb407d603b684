#!/usr/bin/env bash
# Serves a Portolan with 25 registries and calls it with the official SDKs:
# Go (V1 SDK, V2 engine), Python (typed), Node (pop-core, openapi-client).
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do
    kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap cleanup EXIT

CGO_ENABLED=0 go build -o "$work/portolan" ./cmd/portolan
portolan=$work/portolan

# serve NAME [FLAG…] starts a server and waits until it listens.
serve() {
  local name=$1
  shift
  "$portolan" serve --data "$work/$name" --listen 127.0.0.1:0 --addr-file "$work/$name.addr" --metrics-listen off "$@" 2>"$work/$name.log" &
  pids+=($!)
  for _ in $(seq 100); do
    if [ -s "$work/$name.addr" ]; then return; fi
    sleep 0.1
  done
  cat "$work/$name.log" >&2
  exit 1
}

field() { sed -n "s/.*\"$2\": *\"\\([^\"]*\\)\".*/\\1/p" "$1" | head -n 1; }

serve main
serve throttled --throttle-user 1

CLIENTS_ENDPOINT=$(cat "$work/main.addr")
CLIENTS_ROOT_ID=$(field "$work/main/root-credentials.json" AccessKeyId)
CLIENTS_ROOT_SECRET=$(field "$work/main/root-credentials.json" AccessKeySecret)
CLIENTS_THROTTLED_ENDPOINT=$(cat "$work/throttled.addr")
CLIENTS_THROTTLED_ID=$(field "$work/throttled/root-credentials.json" AccessKeyId)
CLIENTS_THROTTLED_SECRET=$(field "$work/throttled/root-credentials.json" AccessKeySecret)
export CLIENTS_ENDPOINT CLIENTS_ROOT_ID CLIENTS_ROOT_SECRET
export CLIENTS_THROTTLED_ENDPOINT CLIENTS_THROTTLED_ID CLIENTS_THROTTLED_SECRET

export PORTOLAN_ENDPOINT=http://$CLIENTS_ENDPOINT
export ALIBABA_CLOUD_ACCESS_KEY_ID=$CLIENTS_ROOT_ID ALIBABA_CLOUD_ACCESS_KEY_SECRET=$CLIENTS_ROOT_SECRET
types=(harbor quay oci oci oci)
for i in $(seq 1 24); do
  n=$(printf '%02d' "$i")
  type=${types[$((i % 5))]}
  if [ "$i" -le 10 ]; then type=harbor; elif [ "$type" = harbor ]; then type=quay; fi
  "$portolan" call Sas AddPrivateRegistry --RegistryType "$type" --DomainName "reg-$n.invalid" --RegistryName "reg-$n" >/dev/null
done
"$portolan" call Sas AddPrivateRegistry --RegistryType oci --DomainName cjk.invalid --RegistryName 镜像仓库-生产 >/dev/null

# A user whose only policy allows something else.
printf '%s' '{"Version":"1","Statement":[{"Effect":"Allow","Action":"yundun-sas:ListImageRegistryRegion","Resource":"*"}]}' >"$work/policy.json"
"$portolan" admin user add denied --data "$work/main" >/dev/null
"$portolan" admin policy put regions-only "$work/policy.json" --data "$work/main" >/dev/null
"$portolan" admin policy attach denied regions-only --data "$work/main" >/dev/null
"$portolan" admin key add --user denied --save "$work/denied.json" --data "$work/main" >/dev/null
CLIENTS_DENIED_ID=$(field "$work/denied.json" AccessKeyId)
CLIENTS_DENIED_SECRET=$(field "$work/denied.json" AccessKeySecret)
export CLIENTS_DENIED_ID CLIENTS_DENIED_SECRET
unset ALIBABA_CLOUD_ACCESS_KEY_ID ALIBABA_CLOUD_ACCESS_KEY_SECRET

echo "-- Go"
(cd test/clients && go vet ./... && go test -count=1 ./...)
echo "-- Python"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r test/clients/python/requirements.txt
(cd test/clients/python && "$work/venv/bin/python" -m pytest -q -p no:cacheprovider)
echo "-- Node"
(cd test/clients/node && npm ci --ignore-scripts --no-audit --no-fund --silent && npm test --silent)
