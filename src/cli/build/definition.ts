import { createHash } from 'node:crypto';
import { fstatSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { invalidArgument, wrapError } from '../../base/index.ts';
import { Definition, Op } from '../../proto/ops.pb.ts';
import type { OpMetadata } from '../../proto/ops.pb.ts';

/** A definition travels in one message (16 MiB): nothing larger can be built. */
const MAX_DEFINITION = 16 << 20;

const STDIN = 0;

/**
 * Throws where no definition comes from standard input: from a device, i.e. a terminal or what stands for a closed input, and from a
 * folder, which Node reads as an empty file.
 */
export function requireInput(): void {
  const stats = fstatSync(STDIN);
  if (stats.isCharacterDevice()) throw invalidArgument('please specify --frontend or pipe LLB definition to stdin');
  if (stats.isDirectory()) throw invalidArgument('failed to parse input: read /dev/stdin: is a directory');
}

/** A marshalled LLB definition. Throws InvalidArgument for what is none. */
export async function readDefinition(input: Readable): Promise<Definition> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of input as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_DEFINITION) throw invalidArgument('failed to parse input: definition is too large');
    parts.push(part);
  }
  try {
    const definition = Definition.decode(Buffer.concat(parts));
    for (const bytes of definition.def) Op.decode(bytes);
    return definition;
  } catch (error) {
    throw wrapError(inGoWords(error), 'failed to parse input');
  }
}

/** What our decoder says of bytes that are no message, as Go's says it. */
function inGoWords(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (/premature EOF|index out of range/.test(error.message))
    return invalidArgument('unexpected EOF', { cause: error });
  const type = /wire type (\d+)/.exec(error.message)?.[1];
  return type === undefined ? error : invalidArgument(`proto: illegal wireType ${type}`, { cause: error });
}

export function opDigest(op: Uint8Array): string {
  return `sha256:${createHash('sha256').update(op).digest('hex')}`;
}

function emptyMetadata(): OpMetadata {
  return {
    ignoreCache: false,
    description: new Map(),
    exportCache: undefined,
    caps: new Map(),
    progressGroup: undefined,
    linuxResources: undefined,
  };
}

/** The same definition with every op to be run anew. */
export function withoutCache(definition: Definition): Definition {
  const metadata = new Map(definition.metadata);
  for (const op of definition.def) {
    const digest = opDigest(op);
    metadata.set(digest, { ...(metadata.get(digest) ?? emptyMetadata()), ignoreCache: true });
  }
  return { ...definition, metadata };
}
