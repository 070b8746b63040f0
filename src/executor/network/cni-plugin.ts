/** One call of a CNI plugin: a program that is told by its environment and input, and answers on its output. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError, Code } from '../../base/index.ts';
import { spawnProcess } from '../../host/index.ts';
import type { PluginConfig } from './cni-config.ts';

export interface PluginCall {
  readonly command: 'ADD' | 'DEL';
  readonly containerId: string;
  /** Path of the namespace; '' where it is gone, which only DEL may be told. */
  readonly namespace: string;
  readonly interfaceName: string;
  /** `KEY=value;…`, or ''. */
  readonly args: string;
  /** Where plugins are looked for. */
  readonly folders: readonly string[];
  readonly config: PluginConfig;
}

/** Results are some hundred bytes. */
const MAX_OUTPUT = 1 << 20;
/** Longer than dhcp waits for an answer. Nobody can do anything for a plugin that hangs. */
const LIMIT_MS = 60_000;

function find(type: string, folders: readonly string[]): string {
  const found = folders
    .map((folder) => join(folder, type))
    .find((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
  if (found !== undefined) return found;
  throw new BuildError(
    Code.FailedPrecondition,
    `failed to find plugin ${JSON.stringify(type)} in path [${folders.join(' ')}]`,
  );
}

/** The plugin's own words (specification, section 5, "Error"), or whatever it said. */
function failureText(stdout: string, stderr: string): string {
  try {
    const { msg, details } = JSON.parse(stdout) as { msg?: unknown; details?: unknown };
    if (typeof msg === 'string') return typeof details === 'string' && details !== '' ? `${msg}; ${details}` : msg;
  } catch {
    // It has none: what it wrote is all there is.
  }
  if (stdout === '' && stderr === '') return 'netplugin failed with no error message';
  return `netplugin failed: ${JSON.stringify((stderr || stdout).trim())}`;
}

async function call(plugin: string, request: PluginCall): Promise<{ stdout: string; failure: string | undefined }> {
  const child = await spawnProcess({
    command: plugin,
    args: [],
    env: {
      ...process.env,
      CNI_COMMAND: request.command,
      CNI_CONTAINERID: request.containerId,
      CNI_NETNS: request.namespace,
      CNI_IFNAME: request.interfaceName,
      CNI_ARGS: request.args,
      CNI_PATH: request.folders.join(':'),
    },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill();
    // Also where something that it started holds them open.
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, LIMIT_MS);
  const collect = async (stream: NodeJS.ReadableStream | null): Promise<string> => {
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of stream ?? []) {
        size += (chunk as Buffer).length;
        if (size <= MAX_OUTPUT) chunks.push(chunk as Buffer);
      }
    } catch {
      // Cut off by the limit.
    }
    return Buffer.concat(chunks).toString();
  };
  // A plugin that ends without having read it all says why by other ways.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(JSON.stringify(request.config));
  try {
    const [stdout, stderr, exit] = await Promise.all([collect(child.stdout), collect(child.stderr), child.exited]);
    if (isLate) return { stdout, failure: `it has not ended within ${LIMIT_MS / 1000} seconds` };
    return { stdout, failure: exit.code === 0 ? undefined : failureText(stdout, stderr) };
  } finally {
    clearTimeout(timer);
  }
}

/** The result of ADD; undefined of DEL. Throws with the plugin's own words. */
export async function callPlugin(request: PluginCall): Promise<object | undefined> {
  const { type } = request.config;
  const plugin = find(type, request.folders);
  const fail = (why: string): never => {
    const command = request.command === 'ADD' ? 'add' : 'delete';
    throw new BuildError(Code.Unknown, `plugin type=${JSON.stringify(type)} failed (${command}): ${why}`);
  };
  const { stdout, failure } = await call(plugin, request);
  if (failure !== undefined) return fail(failure);
  if (request.command === 'DEL') return undefined;
  try {
    const result: unknown = JSON.parse(stdout);
    if (typeof result === 'object' && result !== null) return result;
  } catch {
    // Told below.
  }
  return fail('its result is no JSON object');
}
