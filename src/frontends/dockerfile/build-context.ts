/** Where the Dockerfile, its ignore file and the files of COPY come from. */
import { copy, headDigest, http, local, scratch, State } from '../../llb/index.ts';
import type { SourceMap } from '../../llb/index.ts';
import type { GatewayClient, GatewayRef } from '../types.ts';
import { gitState } from './git-context.ts';
import { parseGitRef } from './git-ref.ts';
import { baseName, dirName, joinPath, parseBool } from './go-text.ts';
import { parseIgnoreFile } from './ignore-file.ts';
import { prefixError, textError } from './located-error.ts';
import type { Options } from './options.ts';

const IGNORE_FILE = '.dockerignore';
const MAX_DOCKERFILE_BYTES = 16 * 1024 * 1024;

interface Places {
  /** Undefined: the client's directory. */
  readonly context?: State;
  readonly dockerfile?: State;
  readonly filename: string;
}

export interface DockerfileSource {
  readonly map: SourceMap;
  /** The vertex that warnings are shown at. */
  readonly vertex: string;
}

function isArchive(head: Uint8Array): boolean {
  const magics = [
    [0x42, 0x5a, 0x68],
    [0x1f, 0x8b, 0x08],
    [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
  ];
  if (magics.some((magic) => magic.every((byte, i) => head[i] === byte))) return true;
  return head.length >= 512 && Buffer.from(head.subarray(257, 262)).toString('latin1') === 'ustar';
}

export class BuildContext {
  readonly #client: GatewayClient;
  readonly #options: Options;
  readonly #caps: ReadonlySet<string>;
  #places: Promise<Places> | undefined;
  #patterns: Promise<readonly string[]> | undefined;
  /** Beside the Dockerfile: stands for the context's own. */
  #ignore: { name: string; bytes: Uint8Array } | undefined;

  constructor(client: GatewayClient, options: Options) {
    this.#client = client;
    this.#options = options;
    this.#caps = client.buildOpts().llbCaps;
  }

  #where(): Promise<Places> {
    this.#places ??= this.#findPlaces();
    return this.#places;
  }

  async #findPlaces(): Promise<Places> {
    const { raw } = this.#options;
    const filename = raw.get('filename') ?? 'Dockerfile';
    const remote = raw.get(raw.get('contextkey') ?? 'context') ?? '';
    const ref = remote === '' ? undefined : parseGitRef(remote);
    const found =
      ref !== undefined
        ? this.#git(remote)
        : /^https?:\/\//.test(remote)
          ? await this.#http(remote, filename)
          : await this.#inputs(filename);
    const subdir = raw.get('contextsubdir');
    if (found.context === undefined || subdir === undefined) return found;
    return { ...found, context: scratch().file(copy(found.context, subdir, '/', { copyDirContentsOnly: true })) };
  }

  #git(remote: string): Places {
    const { raw } = this.#options;
    const state = gitState(parseGitRef(remote) as NonNullable<ReturnType<typeof parseGitRef>>, remote, {
      keepGitDir: parseBool(raw.get('build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR') ?? ''),
      mtimeCommit: (raw.get('build-arg:SOURCE_DATE_EPOCH') ?? '') !== '',
    });
    return { context: state, dockerfile: state, filename: raw.get('filename') ?? 'Dockerfile' };
  }

  /** An archive is the context, anything else the Dockerfile. */
  async #http(url: string, filename: string): Promise<Places> {
    const state = http(url, { filename: 'context', customName: '[internal] load remote build context' });
    const ref = await this.#solve(state, 'failed to resolve httpcontext');
    let head: Uint8Array;
    try {
      head = await ref.readFile('context', { offset: 0, length: 1024 });
    } catch (error) {
      throw prefixError(error, 'failed to read downloaded context');
    }
    if (!isArchive(head)) return { context: state, dockerfile: state, filename: 'context' };
    const unpacked = scratch().file(copy(state, '/context', '/', { attemptUnpack: true }));
    return { context: unpacked, dockerfile: unpacked, filename };
  }

  async #inputs(filename: string): Promise<Places> {
    const inputs = await this.#client.inputs();
    const dockerfile = inputs.get('dockerfile');
    const context = inputs.get('context');
    return {
      filename,
      context: context && State.fromDefinition(context),
      dockerfile: dockerfile && State.fromDefinition(dockerfile),
    };
  }

  async #solve(state: State, failure: string): Promise<GatewayRef> {
    try {
      const { ref } = await this.#client.solve({ definition: state.marshal({ caps: this.#caps }) });
      if (ref === undefined) throw textError('no result');
      return ref;
    } catch (error) {
      throw failure === '' ? error : prefixError(error, failure);
    }
  }

  /** Reads the file that the options name. */
  async dockerfile(language: string): Promise<DockerfileSource> {
    const { dockerfile, filename } = await this.#where();
    const forced = this.#options.raw.get('dockerfilekey');
    const name = forced ?? 'dockerfile';
    // The name may also be written small, see moby/moby#10858.
    const small = baseName(filename) === 'Dockerfile' ? joinPath(dirName(filename), 'dockerfile') : undefined;
    const state =
      forced === undefined && dockerfile !== undefined
        ? dockerfile
        : local(name, {
            followPaths: [filename, `${filename}${IGNORE_FILE}`, ...(small === undefined ? [] : [small])],
            sessionId: this.#options.sessionFor(name),
            sharedKeyHint: name,
            customName: `[internal] load build definition from ${filename}`,
            differ: { type: 'none' },
          });
    const definition = state.marshal({ caps: this.#caps });
    let ref: GatewayRef | undefined;
    try {
      ({ ref } = await this.#client.solve({ definition }));
      if (ref === undefined) throw textError('no result');
    } catch (error) {
      throw prefixError(error, 'failed to resolve dockerfile');
    }
    const data = await readDockerfile(ref, filename, small);
    const ignore = await ref.readFile(`${filename}${IGNORE_FILE}`).catch(() => undefined);
    if (ignore !== undefined) this.#ignore = { name: `${filename}${IGNORE_FILE}`, bytes: ignore };
    return { map: { filename, language, data, definition }, vertex: headDigest(definition) ?? '' };
  }

  /** Empty for contexts that are not the client's. */
  async ignorePatterns(): Promise<readonly string[]> {
    if ((await this.#where()).context !== undefined) return [];
    this.#patterns ??= this.#loadPatterns();
    return this.#patterns;
  }

  async #loadPatterns(): Promise<readonly string[]> {
    const { name, bytes } = this.#ignore ?? (await this.#loadIgnoreFile());
    try {
      return parseIgnoreFile(bytes);
    } catch (error) {
      throw prefixError(error, `failed parsing ${name}`);
    }
  }

  async #loadIgnoreFile(): Promise<{ name: string; bytes: Uint8Array }> {
    const state = local('context', {
      sessionId: this.#options.sessionFor('context'),
      followPaths: [IGNORE_FILE],
      sharedKeyHint: `context-${IGNORE_FILE}`,
      customName: `[internal] load ${IGNORE_FILE}`,
      differ: { type: 'none' },
    });
    const ref = await this.#solve(state, '');
    const bytes = await ref.readFile(IGNORE_FILE).catch(() => new Uint8Array());
    return { name: IGNORE_FILE, bytes };
  }

  /** The context when it is not a directory of the client. */
  async remote(): Promise<State | undefined> {
    return (await this.#where()).context;
  }

  /** With the paths that are needed of it; none: all. */
  async main(): Promise<(paths: readonly string[]) => State> {
    const { context } = await this.#where();
    if (context !== undefined) return () => context;
    let excludePatterns: readonly string[];
    try {
      excludePatterns = await this.ignorePatterns();
    } catch (error) {
      throw prefixError(error, 'failed to read dockerignore patterns');
    }
    return (followPaths) =>
      local('context', {
        sessionId: this.#options.sessionFor('context'),
        excludePatterns,
        sharedKeyHint: 'context',
        customName: '[internal] load build context',
        followPaths,
      });
  }
}

async function readDockerfile(ref: GatewayRef, filename: string, small: string | undefined): Promise<Uint8Array> {
  // One byte more than can be, so that the limit is seen.
  const range = { offset: 0, length: MAX_DOCKERFILE_BYTES + 1 };
  let data: Uint8Array | undefined;
  try {
    data = await ref.readFile(filename, range);
  } catch (error) {
    if (small !== undefined) data = await ref.readFile(small, range).catch(() => undefined);
    if (data === undefined) throw prefixError(error, 'failed to read dockerfile');
  }
  if (data.length > MAX_DOCKERFILE_BYTES) {
    throw textError(`failed to read dockerfile: ${filename} is larger than ${MAX_DOCKERFILE_BYTES} bytes`);
  }
  return data;
}
