import type { Definition } from '../proto/ops.pb.ts';

/** As Go's encoding/json writes pb.Definition; clients read it to load the source again. */
function definitionJson(definition: Definition): object {
  const metadata = [...definition.metadata].map(([digest, m]) => [
    digest,
    { description: Object.fromEntries(m.description), caps: Object.fromEntries(m.caps) },
  ]);
  return {
    def: definition.def.map((op) => Buffer.from(op).toString('base64')),
    metadata: Object.fromEntries(metadata),
  };
}

/** pb.SourceInfo in the JSON of the error detail errdefs.Source (upstream: solver/errdefs/source.go). */
export function sourceInfoJson(info: {
  readonly filename: string;
  readonly data: Uint8Array;
  readonly language: string;
  readonly definition?: Definition | undefined;
}): object {
  return {
    filename: info.filename || undefined,
    data: info.data.length === 0 ? undefined : Buffer.from(info.data).toString('base64'),
    definition: info.definition && definitionJson(info.definition),
    language: info.language || undefined,
  };
}
