/**
 * An op's bytes as Go's deterministic marshaller writes them: their digest is the op's identity. Generated code gets everything
 * right but the place of the oneof, and maps, whose entries must be sorted and written whole even where key or value is empty.
 */
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Definition, Op, BuildInput } from '../proto/ops.pb.ts';
import type { BuildOp, OpMetadata, Source, SourceOp } from '../proto/ops.pb.ts';

const OP_SOURCE = 3;
const OP_BUILD = 5;
const LENGTH_DELIMITED = 2;
const tag = (field: number): number => (field << 3) | LENGTH_DELIMITED;

function sorted<V>(map: ReadonlyMap<string, V>): Array<readonly [string, V]> {
  return [...map].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function writeTexts(writer: BinaryWriter, field: number, map: ReadonlyMap<string, string>): void {
  for (const [key, value] of sorted(map))
    writer.uint32(tag(field)).fork().uint32(tag(1)).string(key).uint32(tag(2)).string(value).join();
}

function writeUnknown(writer: BinaryWriter, unknown: SourceOp['_unknownFields']): void {
  for (const [key, values] of Object.entries(unknown ?? {})) {
    for (const value of values) writer.uint32(Number(key)).raw(value);
  }
}

function encodeSource(source: SourceOp): Uint8Array {
  const writer = new BinaryWriter();
  if (source.identifier !== '') writer.uint32(tag(1)).string(source.identifier);
  writeTexts(writer, 2, source.attrs);
  writeUnknown(writer, source._unknownFields);
  return writer.finish();
}

function sortedMetadata(metadata: OpMetadata): OpMetadata {
  return { ...metadata, description: new Map(sorted(metadata.description)), caps: new Map(sorted(metadata.caps)) };
}

function sortedSource(source: Source): Source {
  const infos = source.infos.map((i) =>
    i.definition === undefined ? i : { ...i, definition: sortDefinition(i.definition) },
  );
  return { ...source, locations: new Map(sorted(source.locations)), infos };
}

/** The same definition with its maps in the order of their keys. */
export function sortDefinition(definition: Definition): Definition {
  const metadata = new Map(sorted(definition.metadata).map(([k, m]) => [k, sortedMetadata(m)]));
  const source = definition.Source === undefined ? undefined : sortedSource(definition.Source);
  return { ...definition, metadata, Source: source };
}

function encodeBuild(build: BuildOp): Uint8Array {
  const writer = new BinaryWriter();
  if (build.builder !== 0n) writer.uint32(1 << 3).int64(build.builder);
  for (const [key, value] of sorted(build.inputs)) {
    const entry = writer.uint32(tag(2)).fork().uint32(tag(1)).string(key);
    BuildInput.encode(value, entry.uint32(tag(2)).fork()).join();
    entry.join();
  }
  if (build.def !== undefined) Definition.encode(sortDefinition(build.def), writer.uint32(tag(3)).fork()).join();
  writeTexts(writer, 4, build.attrs);
  writeUnknown(writer, build._unknownFields);
  return writer.finish();
}

/** Deterministic; fields that nobody knows here are kept. */
export function encodeOp(op: Op): Uint8Array {
  const kind = op.op;
  const none: Op = { inputs: [], op: undefined, platform: undefined, constraints: undefined };
  const { inputs, platform, constraints, _unknownFields } = op;
  const writer = new BinaryWriter();
  // Go writes what is in a oneof after all other fields, whatever its number.
  writer.raw(Op.encode({ ...none, inputs, platform, constraints }).finish());
  if (kind?.$case === 'source') writer.uint32(tag(OP_SOURCE)).bytes(encodeSource(kind.value));
  else if (kind?.$case === 'build') writer.uint32(tag(OP_BUILD)).bytes(encodeBuild(kind.value));
  else writer.raw(Op.encode({ ...none, op: kind }).finish());
  if (_unknownFields !== undefined) writer.raw(Op.encode({ ...none, _unknownFields }).finish());
  return writer.finish();
}
