/** Commit and tag objects as git stores them (gitformat-signature(5)): what in them is signed, and by what. */
import { createHash } from 'node:crypto';
import { BuildError, Code } from '../../base/index.ts';

export interface GitObject {
  readonly type: 'commit' | 'tag';
  readonly raw: Uint8Array;
  /** Armored; '' without one. */
  readonly signature: string;
  /** The object without its signature. */
  readonly signedData: Uint8Array;
}

const REQUIRED = { commit: ['tree', 'author', 'committer'], tag: ['object', 'type', 'tag', 'tagger'] } as const;
const COMMIT_SIGNATURES = ['gpgsig', 'gpgsig-sha256'];
const TAG_SIGNATURE = /^-----BEGIN (?:PGP|SSH) SIGNATURE-----$/m;

/** Text and bytes are one and the same here: latin1 has one character a byte. */
const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

function fail(message: string): BuildError {
  return new BuildError(Code.Unknown, message);
}

/** A signed tag ends with its signature. */
function splitTag(text: string): { signature: string; signedData: string } {
  const body = text.indexOf('\n\n');
  const at = body < 0 ? -1 : text.slice(body).search(TAG_SIGNATURE);
  if (at < 0) return { signature: '', signedData: text };
  return { signature: text.slice(body + at), signedData: text.slice(0, body + at) };
}

/** A signed commit has its signature in a header, in lines that begin with a space. */
function splitCommit(text: string): { signature: string; signedData: string } {
  const body = text.indexOf('\n\n');
  const head = body < 0 ? text : text.slice(0, body + 1);
  const signatures = new Map<string, string>();
  const rest: string[] = [];
  // Each header with the lines that continue it.
  for (const header of head.split(/\n(?! )/)) {
    const name = header.slice(0, Math.max(0, header.indexOf(' ')));
    if (!COMMIT_SIGNATURES.includes(name)) rest.push(header);
    else if (!signatures.has(name)) signatures.set(name, header.slice(name.length + 1).replaceAll('\n ', '\n'));
  }
  const [signature = ''] = COMMIT_SIGNATURES.map((name) => signatures.get(name)).filter((s) => s !== undefined);
  return { signature, signedData: rest.join('\n') + text.slice(head.length) };
}

export function parseGitObject(raw: Uint8Array): GitObject {
  const text = Buffer.from(raw).toString('latin1');
  const type = text.startsWith('object ') ? 'tag' : 'commit';
  const body = text.indexOf('\n\n');
  const names = new Set((body < 0 ? text : text.slice(0, body)).split('\n').map((line) => line.split(' ', 1)[0]));
  const missing = REQUIRED[type].find((name) => !names.has(name));
  if (missing !== undefined) throw fail(`invalid ${type} object: missing ${missing} header`);
  const { signature, signedData } = type === 'tag' ? splitTag(text) : splitCommit(text);
  return { type, raw, signature, signedData: bytesOf(signedData) };
}

/** Throws unless `id` is the name of the object. */
export function checkObjectId({ type, raw }: GitObject, id: string): void {
  if (id.length !== 40 && id.length !== 64) throw fail(`unsupported sha length ${id.length}`);
  const hash = createHash(id.length === 40 ? 'sha1' : 'sha256');
  const actual = hash.update(`${type} ${raw.length}\0`).update(raw).digest('hex');
  if (actual !== id) throw fail(`checksum mismatch: expected ${id}, got ${actual}`);
}
