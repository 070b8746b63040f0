#!/bin/sh
# Makes an OCI layout in the folder $1 that holds one image, busybox, out of this machine's busybox (Debian's busybox-static).
# Prints the digest of the image's manifest. The same busybox gives the same digest.
set -eu
[ "$#" -eq 1 ] || {
  echo "usage: $0 DIRECTORY" >&2
  exit 1
}
busybox=$(command -v busybox) || {
  echo "$0: busybox is missing: run scripts/setup.sh first" >&2
  exit 1
}
case $(uname -m) in
  x86_64) architecture=amd64 ;;
  aarch64) architecture=arm64 ;;
  *) architecture=$(uname -m) ;;
esac

layout=$1
blobs=$layout/blobs/sha256
mkdir -p "$blobs"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

mkdir -p "$root/bin" "$root/etc" "$root/root" "$root/tmp" "$root/var/tmp"
chmod 755 "$root" "$root/bin" "$root/etc" "$root/var"
chmod 700 "$root/root"
chmod 1777 "$root/tmp" "$root/var/tmp"
cp "$busybox" "$root/bin/busybox"
chmod 755 "$root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
cat > "$root/etc/passwd" << 'EOF'
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/home:/bin/false
EOF
cat > "$root/etc/group" << 'EOF'
root:x:0:
nogroup:x:65534:
EOF
chmod 644 "$root/etc/passwd" "$root/etc/group"

hash_of() { sha256sum "$1" | cut -d ' ' -f 1; }
size_of() { wc -c < "$1" | tr -d ' '; }
# Moves the file $1 to where its digest says, and prints the digest's hex part.
keep() {
  hash=$(hash_of "$1")
  mv "$1" "$blobs/$hash"
  echo "$hash"
}

tar --create --file "$work/layer.tar" --directory "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner .
diff_id=$(hash_of "$work/layer.tar")
gzip -n -6 "$work/layer.tar"
layer_size=$(size_of "$work/layer.tar.gz")
layer=$(keep "$work/layer.tar.gz")

cat > "$work/config.json" << EOF
{"created":"1970-01-01T00:00:00Z","architecture":"$architecture","os":"linux","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:$diff_id"]},"history":[{"created":"1970-01-01T00:00:00Z","created_by":"busybox-static"}]}
EOF
config_size=$(size_of "$work/config.json")
config=$(keep "$work/config.json")

cat > "$work/manifest.json" << EOF
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$config_size},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:$layer","size":$layer_size}]}
EOF
manifest_size=$(size_of "$work/manifest.json")
manifest=$(keep "$work/manifest.json")

echo '{"imageLayoutVersion":"1.0.0"}' > "$layout/oci-layout"
cat > "$layout/index.json" << EOF
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest","size":$manifest_size,"platform":{"architecture":"$architecture","os":"linux"},"annotations":{"org.opencontainers.image.ref.name":"latest"}}]}
EOF
echo "sha256:$manifest"
