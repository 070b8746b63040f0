/** `context:NAME` options: what stands in for an image, a stage or a `--from`. */
import { http, image, local, ociLayout, scratch, State } from '../../llb/index.ts';
import {
  familiarReference,
  formatPlatform,
  formatReference,
  normalizePlatform,
  parseReference,
  referenceName,
  withDigest,
} from '../../oci/index.ts';
import type { Platform } from '../../oci/index.ts';
import { NotAnImage } from '../not-an-image.ts';
import type { GatewayClient } from '../types.ts';
import { gitState } from './git-context.ts';
import { cut } from './go-text.ts';
import { parseGitRef } from './git-ref.ts';
import { parseIgnoreFile } from './ignore-file.ts';
import { deferredState } from './deferred-state.ts';
import { prefixError, textError } from './located-error.ts';
import { readImage } from './lower/image.ts';
import type { Image } from './lower/image.ts';
import { fullReference, parseOptions } from './options.ts';
import type { Options } from './options.ts';

export interface NamedContext {
  load(): Promise<{ state: State; image?: Image }>;
}

interface Request {
  readonly name: string;
  readonly platform: Platform;
  /** What will be needed of a local one, asked when everything is known. */
  readonly paths: () => readonly string[];
}

/** What the client passed in place of the image `name`, for the platform of the build; undefined: nothing. */
export async function namedContext(
  client: GatewayClient,
  name: string,
): Promise<{ state: State; image?: Image } | undefined> {
  const options = parseOptions(client.buildOpts());
  const request = { name, platform: options.buildPlatform, paths: () => [] };
  return await new NamedContexts(client, options).find(request)?.load();
}

export class NamedContexts {
  readonly #client: GatewayClient;
  readonly #options: Options;

  constructor(client: GatewayClient, options: Options) {
    this.#client = client;
    this.#options = options;
  }

  /** Undefined when nothing of that name was passed. Throws for what cannot be a name. */
  find(request: Request): NamedContext | undefined {
    const lower = request.name.toLowerCase();
    if (lower === 'scratch' || lower === 'context') return undefined;
    let name: string;
    try {
      name = familiarReference(parseReference(request.name)).replace(/:latest$/, '');
    } catch (error) {
      throw prefixError(error, `invalid context name ${request.name}`);
    }
    const special = `${name}::${formatPlatform(normalizePlatform(request.platform))}`;
    for (const key of [special, name]) {
      const input = this.#options.raw.get(`context:${key}`);
      if (input !== undefined) return { load: () => this.#load(input, key, { ...request, name }) };
    }
    return undefined;
  }

  async #load(input: string, key: string, request: Request): Promise<{ state: State; image?: Image }> {
    const [scheme, rest, found] = cut(input, ':');
    if (!found) throw textError(`invalid context specifier ${input} for ${key}`);
    const target = rest.replace(/^\/\//, '');
    switch (scheme.startsWith('git@') ? 'git' : scheme) {
      case 'docker-image':
        return target === 'scratch' ? { state: scratch() } : this.#image(target, key, request);
      case 'oci-layout':
        return this.#layout(target, key, request);
      case 'local':
        return { state: await this.#local(rest, key, request) };
      case 'input':
        return this.#input(rest, key);
      case 'git': {
        const ref = parseGitRef(input);
        if (ref === undefined) throw textError(`invalid git context ${input}`);
        return { state: gitState(ref, input) };
      }
      case 'http':
      case 'https': {
        const ref = parseGitRef(input);
        if (ref !== undefined) return { state: gitState(ref, input) };
        return { state: http(input, { filename: 'context', customName: `[context ${key}] ${input}` }) };
      }
      default:
        throw textError(`unsupported context source ${scheme} for ${key}`);
    }
  }

  async #image(target: string, key: string, request: Request): Promise<{ state: State; image?: Image }> {
    const { platform } = request;
    let resolved: Awaited<ReturnType<GatewayClient['resolveImageConfig']>>;
    try {
      resolved = await this.#client.resolveImageConfig(fullReference(target), {
        platform,
        resolveMode: this.#options.resolveMode,
        logName: `[context ${key}] load metadata for ${target}`,
      });
    } catch (error) {
      const instead = error instanceof NotAnImage ? error.identifier : undefined;
      if (instead === undefined) throw error;
      // A source policy put something else there.
      return this.#load(instead.replace('://', ':'), key, request);
    }
    const config = { ...readImage(resolved.config), created: undefined };
    const state = image(resolved.ref, { customName: `[context ${key}] ${target}`, platform });
    return { state: state.withImageConfig(resolved.config), image: config };
  }

  async #layout(target: string, key: string, request: Request): Promise<{ state: State; image: Image }> {
    const [store, digest, found] = cut(target, '@');
    if (!found) throw textError(`oci-layout reference "${target}" has no digest`);
    // The store's name says nothing to people: they see the name of the context.
    const ref = parseReference(`${referenceName(parseReference(request.name))}@${digest}`);
    const named = parseReference(request.name);
    const shown = formatReference(ref.digest === undefined ? named : withDigest(named, ref.digest));
    const storeId = store.replace(/:[^/:]*$/, '');
    const { sessionId } = this.#client.buildOpts();
    const resolved = await this.#client.resolveImageConfig(shown, {
      platform: request.platform,
      logName: `[context ${key}] load metadata for ${shown}`,
      sessionId,
      storeId,
    });
    const state = ociLayout(shown, {
      customName: `[context ${key}] OCI load from client`,
      sessionId,
      storeId,
      platform: request.platform,
    });
    return { state: state.withImageConfig(resolved.config), image: readImage(resolved.config) };
  }

  async #local(name: string, key: string, request: Request): Promise<State> {
    const sessionId = this.#options.sessionFor(name);
    const ignoreState = local(name, {
      sessionId,
      followPaths: ['.dockerignore'],
      sharedKeyHint: `context:${key}-.dockerignore`,
      customName: `[context ${key}] load .dockerignore`,
      differ: { type: 'none' },
    });
    const { ref } = await this.#client.solve({ definition: ignoreState.marshal(), evaluate: true });
    const bytes = await ref?.readFile('.dockerignore').catch(() => undefined);
    let excludePatterns: string[] = [];
    if (bytes !== undefined && bytes.length > 0) {
      try {
        excludePatterns = parseIgnoreFile(bytes);
      } catch (error) {
        throw prefixError(error, 'failed parsing .dockerignore');
      }
    }
    const sharedKey = this.#options.raw.get(`sharedkey:localdir:${key}`) ?? '';
    return deferredState(() =>
      local(name, {
        customName: `[context ${key}] load from client`,
        sessionId,
        sharedKeyHint: `context:${key}-${sharedKey}`,
        excludePatterns,
        followPaths: request.paths(),
      }),
    );
  }

  async #input(name: string, key: string): Promise<{ state: State; image?: Image }> {
    const definition = (await this.#client.inputs()).get(name);
    if (definition === undefined) throw textError(`invalid input ${name} for ${key}`);
    const state = State.fromDefinition(definition);
    const metadata = this.#options.raw.get(`input-metadata:${name}`);
    if (metadata === undefined) return { state };
    let config: Buffer | undefined;
    try {
      const encoded = (JSON.parse(metadata) as Record<string, unknown>)['containerimage.config'];
      if (typeof encoded === 'string') config = Buffer.from(encoded, 'base64');
    } catch (error) {
      throw prefixError(error, `failed to parse input metadata ${metadata}`);
    }
    if (config === undefined) return { state };
    return { state: state.withImageConfig(config), image: readImage(config) };
  }
}
