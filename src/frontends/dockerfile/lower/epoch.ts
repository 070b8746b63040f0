/** SOURCE_DATE_EPOCH: seconds, or the name of what has a time: `context`, a named context, a stage that is one remote ADD. */
import { decompress, TarReader, TarType } from '../../../archive/index.ts';
import { BuildError, Code } from '../../../base/index.ts';
import { git, http, source as sourceState } from '../../../llb/index.ts';
import type { State } from '../../../llb/index.ts';
import { parseDigest } from '../../../oci/index.ts';
import { Op } from '../../../proto/ops.pb.ts';
import type { SourceOp } from '../../../proto/ops.pb.ts';
import type { GatewayClient, GatewayRef } from '../../types.ts';
import type { BuildContext } from '../build-context.ts';
import { parseGitRef } from '../git-ref.ts';
import type { CommandOf, Stage } from '../instructions/index.ts';
import { prefixError, textError, withLocation } from '../located-error.ts';
import type { NamedContexts } from '../named-context.ts';
import type { Platform } from '../../../oci/index.ts';
import { expandWord } from '../parse/index.ts';
import type { LexOptions } from '../parse/index.ts';
import { urlFileName } from './url-file-name.ts';
import type { Variables } from './variables.ts';

export const EPOCH_ARG = 'SOURCE_DATE_EPOCH';

export interface EpochRequest {
  readonly client: GatewayClient;
  readonly context: BuildContext;
  readonly named: NamedContexts;
  readonly platform: Platform;
  readonly stages: readonly Stage[];
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly globalArgs: Variables;
  readonly lex: LexOptions;
}

interface TimedSource {
  readonly state: State;
  readonly logName: string;
}

/** Read in pieces, so that an archive of any size takes no more memory than this. */
const READ_BYTES = 4 * 1024 * 1024;

/** Seconds since 1970; undefined: times stay as they are. Throws for what names nothing. */
export async function resolveEpoch(text: string, request: EpochRequest): Promise<bigint | undefined> {
  if (text === '') return undefined;
  if (/^[+-]?\d+$/.test(text)) {
    const seconds = BigInt(text);
    if (BigInt.asIntN(64, seconds) !== seconds) throw textError(`invalid ${EPOCH_ARG}: ${text}`);
    return seconds;
  }
  const found = await findSource(text, request);
  return found === undefined ? undefined : timeOf(found, request.client);
}

async function findSource(text: string, request: EpochRequest): Promise<TimedSource | undefined> {
  if (text === 'context') {
    const state = await request.context.remote();
    // A client's directory has no time of its own.
    if (state === undefined) return undefined;
    return { state, logName: '[internal] resolve main build context metadata' };
  }
  const named = request.named.find({ name: text, platform: request.platform, paths: () => [] });
  if (named !== undefined) {
    const { state } = await named.load();
    return { state, logName: `[internal] resolve ${EPOCH_ARG} named context ${text}` };
  }
  const stage = request.stages.find((s) => s.stageName.toLowerCase() === text.toLowerCase());
  if (stage === undefined) throw textError(`invalid ${EPOCH_ARG}: ${text}`);
  try {
    const state = stageSource(stage, request);
    return { state, logName: `[internal] resolve ${EPOCH_ARG} source stage ${stage.stageName}` };
  } catch (error) {
    throw withLocation(error, stage.location);
  }
}

/** What the only ADD of such a stage takes. */
function stageSource(stage: Stage, { buildArgs, globalArgs, lex }: EpochRequest): State {
  let env = globalArgs.without(EPOCH_ARG);
  const expand = (text: string): string => expandWord(text, env, lex).text;
  let base: string;
  try {
    base = expand(stage.baseName);
  } catch (error) {
    throw prefixError(error, `failed to process source stage base name ${JSON.stringify(stage.baseName)}`);
  }
  if (base !== 'scratch') throw textError(`${EPOCH_ARG} stage must use FROM scratch`);
  let state: State | undefined;
  for (const command of stage.commands) {
    if (command.kind === 'arg') {
      for (const { key, value } of command.args) {
        const given = buildArgs.get(key) ?? (value === undefined ? undefined : expand(value));
        if (given !== undefined) env = env.with(key, given);
      }
    } else if (command.kind === 'add') {
      if (state !== undefined) throw textError(`${EPOCH_ARG} stage must contain exactly one remote ADD`);
      state = addSource(command, expand);
    } else {
      const what = `unsupported ${command.kind} instruction`;
      throw textError(`${EPOCH_ARG} stage does not meet source-only requirements: ${what}`);
    }
  }
  if (state === undefined) throw textError(`${EPOCH_ARG} stage must contain exactly one remote ADD`);
  return state;
}

function addSource(command: CommandOf<'add'>, expand: (text: string) => string): State {
  if (command.contents.length > 0 || command.sources.length !== 1) {
    throw textError(`${EPOCH_ARG} stage must contain exactly one remote ADD source`);
  }
  const source = expand(command.sources[0]);
  const checksum = command.checksum === '' ? undefined : expand(command.checksum);
  const ref = parseGitRef(source);
  if (ref === undefined && /^https?:\/\//.test(source)) {
    return http(source, {
      filename: urlFileName(source),
      checksum: checksum === undefined ? undefined : parseDigest(checksum),
    });
  }
  if (ref === undefined || ref.ambiguous) {
    throw textError(`${EPOCH_ARG} stage source must be a single HTTP(S) or Git ADD`);
  }
  return git(ref.remote, '', {
    ref: ref.ref,
    keepGitDir: command.keepGitDir === true || ref.keepGitDir === true,
    checksum: checksum ?? (ref.checksum || undefined),
    subdir: ref.subdir || undefined,
    skipSubmodules: ref.submodules === false,
  });
}

/** The source below a state; undefined when there are several, or none. */
function onlySource(state: State, client: GatewayClient): SourceOp | undefined {
  const { def } = state.marshal({ caps: client.buildOpts().llbCaps });
  const sources = def.flatMap((bytes) => {
    const { op } = Op.decode(bytes);
    return op?.$case === 'source' ? [op.value] : [];
  });
  return sources.length === 1 ? sources[0] : undefined;
}

async function timeOf({ state, logName }: TimedSource, client: GatewayClient): Promise<bigint | undefined> {
  const source = onlySource(state, client);
  if (source === undefined) return undefined;
  const isHttp = /^https?:\/\//.test(source.identifier);
  if (!isHttp && !source.identifier.startsWith('git://')) return undefined;
  const meta = await client.resolveSourceMeta(source, { logName, gitObjects: !isHttp });
  if (meta.git?.commitObject !== undefined && meta.git.commitObject.length > 0) {
    return commitTime(meta.git.commitObject);
  }
  if (meta.http?.lastModified !== undefined) return meta.http.lastModified / 1_000_000_000n;
  const filename = source.attrs.get('http.filename') ?? '';
  if (!isHttp || filename === '') return undefined;
  const download = sourceState(source.identifier, source.attrs, ['source.http']);
  const { ref } = await client.solve({ definition: download.marshal({ caps: client.buildOpts().llbCaps }) });
  return ref === undefined ? undefined : newestInArchive(ref, filename);
}

/** The committer's time of a commit object as git stores it. */
function commitTime(object: Uint8Array): bigint {
  const head = Buffer.from(object).toString('latin1').split('\n\n', 1)[0];
  const match = /^committer .*> (-?\d+) [+-]\d{4}$/m.exec(head);
  if (match === null) throw textError('invalid commit object: no time of its committer');
  return BigInt(match[1]);
}

async function* pieces(ref: GatewayRef, filename: string): AsyncGenerator<Uint8Array> {
  for (let offset = 0; ; offset += READ_BYTES) {
    const bytes = await ref.readFile(filename, { offset, length: READ_BYTES });
    if (bytes.length > 0) yield bytes;
    if (bytes.length < READ_BYTES) return;
  }
}

/** The latest time of a regular file in it; undefined when it is no archive. */
async function newestInArchive(ref: GatewayRef, filename: string): Promise<bigint | undefined> {
  let newest: bigint | undefined;
  const reader = new TarReader({
    entry: ({ type, mtimeNs }) => {
      if (type !== TarType.File && type !== TarType.Contiguous && type !== TarType.GnuSparse) return;
      if (newest === undefined || mtimeNs > newest) newest = mtimeNs;
    },
    data: () => {},
    entryEnd: () => {},
  });
  try {
    for await (const bytes of decompress(pieces(ref, filename))) reader.write(bytes);
    reader.end();
  } catch (error) {
    if (error instanceof BuildError && error.code === Code.InvalidArgument) return undefined;
    throw error;
  }
  return newest === undefined ? undefined : newest / 1_000_000_000n;
}
