/** How the process of a frontend is started: everything that it has to know stands in its environment. */
import { VERSION } from '../../base/index.ts';
import type { ContainerConfig } from '../../oci/index.ts';
import type { BuildOpts } from '../types.ts';
import { platformJson } from '../platform-json.ts';

export interface FrontendProcess {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
}

const DEFAULT_ARGS = ['/run'];

/** The worker records as upstream's client.WorkerInfo in JSON. */
function workersJson(workers: BuildOpts['workers']): string {
  const { package: name, version, revision, dockerfile } = VERSION;
  const records = workers.map((worker) => ({
    id: worker.id,
    labels: Object.fromEntries(worker.labels),
    platforms: worker.platforms.map(platformJson),
    gcPolicy: null,
    buildkitVersion: { package: name, version, revision, dockerfileVersion: dockerfile },
    cdiDevices: null,
  }));
  return JSON.stringify(records);
}

/** Only the entry point of the image counts; its command is for other uses. */
export function frontendProcess(config: ContainerConfig, build: BuildOpts): FrontendProcess {
  const opts = [...build.opts].map(([key, value], i) => `BUILDKIT_FRONTEND_OPT_${i}=${key}=${value}`);
  return {
    args: config.Entrypoint ?? DEFAULT_ARGS,
    env: [
      ...(config.Env ?? []),
      ...opts,
      `BUILDKIT_SESSION_ID=${build.sessionId}`,
      `BUILDKIT_WORKERS=${workersJson(build.workers)}`,
      `BUILDKIT_EXPORTEDPRODUCT=${build.product}`,
    ],
    cwd: config.WorkingDir || '/',
  };
}
