/** The containers of one gateway, by the ids that its client gave them. */
import {
  abortReason,
  BuildError,
  canceled,
  Code,
  invalidArgument,
  logger,
  notFound,
  randomId,
} from '../../base/index.ts';
import type {
  ExecMessage,
  ReadDirRequest,
  ReadDirResponse,
  ReadFileRequest,
  ReadFileResponse,
  StatFileRequest,
  StatFileResponse,
} from '../../proto/gateway.pb.ts';
import type { MessageReader, MessageWriter } from '../../rpc/index.ts';
import { readDirIn, readFileBeneath, statFileBeneath } from '../read-tree.ts';
import { GatewayContainer } from './container.ts';
import type { ContainerDeps, ContainerRequest } from './container.ts';
import { serveProcesses } from './serve-processes.ts';

const CONTAINER_ID = /^[A-Za-z0-9]{1,128}$/;
/** Each holds mounts of the host. */
const MAX_CONTAINERS = 256;

export class Containers {
  readonly #deps: ContainerDeps;
  /** An id is taken as soon as its container is being made. */
  readonly #containers = new Map<string, Promise<GatewayContainer>>();
  readonly #open = new Map<string, GatewayContainer>();
  readonly #closing = new AbortController();

  constructor(deps: ContainerDeps) {
    this.#deps = deps;
  }

  /** `signal` ends the waiting for mounts, not the container. */
  async create(request: ContainerRequest, signal: AbortSignal): Promise<void> {
    const { id } = request;
    if (!CONTAINER_ID.test(id)) throw invalidArgument(`invalid container id ${JSON.stringify(id)}`);
    if (this.#closing.signal.aborted) throw abortReason(this.#closing.signal);
    if (this.#containers.has(id)) throw new BuildError(Code.AlreadyExists, `Container ${id} already exists`);
    if (this.#containers.size >= MAX_CONTAINERS) {
      throw new BuildError(Code.ResourceExhausted, `more than ${MAX_CONTAINERS} containers`);
    }
    const opening = GatewayContainer.open(
      this.#deps,
      request,
      randomId(),
      AbortSignal.any([signal, this.#closing.signal]),
    );
    this.#containers.set(id, opening);
    try {
      this.#open.set(id, await opening);
    } catch (error) {
      this.#containers.delete(id);
      throw error;
    }
  }

  async release(id: string): Promise<void> {
    const container = this.#open.get(id);
    if (container === undefined) throw notFound(`container details for ${id} not found`);
    this.#open.delete(id);
    this.#containers.delete(id);
    await container.release();
  }

  serve(input: MessageReader<ExecMessage>, out: MessageWriter<ExecMessage>, signal: AbortSignal): Promise<void> {
    return serveProcesses((id) => this.#open.get(id), input, out, signal);
  }

  async #root({ Ref: id, MountIndex: mount }: { readonly Ref: string; readonly MountIndex: number }): Promise<string> {
    const container = this.#open.get(id);
    if (container === undefined) throw notFound(`container details for ${id}@${mount} not found`);
    return container.root(mount);
  }

  async readFile(request: ReadFileRequest): Promise<ReadFileResponse> {
    const range = request.Range && { offset: Number(request.Range.Offset), length: Number(request.Range.Length) };
    return { Data: readFileBeneath(await this.#root(request), absolute(request.FilePath), range) };
  }

  async readDir(request: ReadDirRequest): Promise<ReadDirResponse> {
    const root = await this.#root(request);
    return { entries: readDirIn(root, absolute(request.DirPath), request.IncludePattern) };
  }

  async statFile(request: StatFileRequest): Promise<StatFileResponse> {
    return { stat: statFileBeneath(await this.#root(request), absolute(request.Path)) };
  }

  async close(): Promise<void> {
    this.#closing.abort(canceled('build has ended'));
    const all = [...this.#containers.values()];
    this.#containers.clear();
    this.#open.clear();
    await Promise.all(
      all.map(async (opening) => {
        const container = await opening.catch(() => undefined);
        // What its processes failed with was told to who started them.
        await container?.release().catch((error: unknown) => logger.debug('container ended', { error }));
      }),
    );
  }
}

function absolute(path: string): string {
  if (!path.startsWith('/')) throw invalidArgument(`can't make ${path} relative to /`);
  return path;
}
