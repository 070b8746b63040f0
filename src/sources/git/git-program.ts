/**
 * Runs the machine's `git`: with an environment of its own, so that neither the configuration of whoever runs the daemon nor a
 * terminal has a say, with its output shown as the step's log, and with credentials that appear nowhere.
 */
import { BuildError, Code, abortReason, logLimits, noProgress, StepLog } from '../../base/index.ts';
import type { StepProgress } from '../../base/index.ts';
import { runProgram } from '../../host/index.ts';
import { isCommitId } from './object-id.ts';
import { Redaction } from './redaction.ts';

export interface GitSettings {
  /** The repository; none for commands that need none. */
  readonly gitDir?: string;
  readonly workTree?: string;
  /** One header for all requests below the URL. */
  readonly header?: { readonly url: string; readonly value: string };
  readonly agentSocket?: string;
  readonly knownHostsFile?: string;
  readonly redaction?: Redaction;
  readonly progress: StepProgress;
  readonly signal: AbortSignal;
  /** A server that sends nothing for so long is given up: over HTTP by git itself, else by looking at the processes. */
  readonly idleMs?: number;
}

const PROXIES = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'all_proxy',
];

/** What a command may say that is read here; object ids and names, never content. */
const MAX_OUTPUT = 8 * 1024 * 1024;
const MAX_ERROR = 64 * 1024;

const DEFAULT_IDLE_MS = 300_000;

/** A command that failed: the message carries what git wrote to its standard error, without credentials. */
export class GitError extends BuildError {}

/** What to try instead when a server does not know shallow fetches, or hands out no single commits; undefined: nothing. */
function simpler(args: readonly string[], stderr: string): readonly string[] | undefined {
  if (stderr.includes('--depth') || stderr.includes('shallow')) {
    const deep = args.filter((a) => a !== '--depth=1');
    if (deep.length < args.length) return deep;
  }
  if (stderr.includes('not our ref') || stderr.includes('unadvertised object')) {
    const last = args[args.length - 1];
    if (args[0] === 'fetch' && args.length > 2 && isCommitId(last)) return args.slice(0, -1);
  }
  return undefined;
}

export class Git {
  readonly #settings: GitSettings;

  get #idleMs(): number {
    return this.#settings.idleMs ?? DEFAULT_IDLE_MS;
  }

  constructor(settings: GitSettings) {
    this.#settings = settings;
  }

  /** The same with other folders. */
  at(places: Pick<GitSettings, 'gitDir' | 'workTree'>): Git {
    return new Git({ ...this.#settings, ...places });
  }

  /** The standard output. Throws {@link GitError} when the command fails. */
  async run(...args: string[]): Promise<Buffer> {
    let current: readonly string[] = args;
    for (;;) {
      const { code, isStalled, stdout, stderr } = await this.#once(current);
      if (code === 0) return stdout;
      const { signal: asked } = this.#settings;
      const said = `git stderr:\n${stderr}`;
      if (asked.aborted) {
        const reason = abortReason(asked);
        const kind = reason instanceof BuildError ? reason.code : Code.Canceled;
        throw new GitError(kind, `context completed: ${said}: ${reason.message}`);
      }
      if (isStalled) throw new GitError(Code.DeadlineExceeded, `${said}: no answer for ${this.#idleMs / 1000} seconds`);
      if (code === 127) throw new GitError(Code.FailedPrecondition, `failed to find git binary: ${stderr.trim()}`);
      const next = simpler(current, stderr);
      if (next === undefined) throw new GitError(Code.Unknown, `${said}: exit status ${code}`);
      current = next;
    }
  }

  /** Its output without the end of the line. */
  async text(...args: string[]): Promise<string> {
    return (await this.run(...args)).toString('utf8').trim();
  }

  /** Whether the command succeeds, for commands that ask: a no is nothing to show. */
  async succeeds(...args: string[]): Promise<boolean> {
    try {
      await new Git({ ...this.#settings, progress: noProgress }).run(...args);
      return true;
    } catch (error) {
      if (!(error instanceof GitError) || this.#settings.signal.aborted) throw error;
      return false;
    }
  }

  async #once(args: readonly string[]) {
    const { gitDir, workTree, progress, signal, redaction = new Redaction([]) } = this.#settings;
    const limits = logLimits(process.env);
    const logs = ([1, 2] as const).map((stream) => new StepLog(progress, stream, limits));
    const shown = logs.map((log) => redaction.lines((data) => void log.write(data)));
    const kept: [Buffer[], Buffer[]] = [[], []];
    let size = 0;
    let errorSize = 0;
    const tooMuch = new AbortController();
    const exit = await runProgram({
      command: 'git',
      args: [
        // A repository must not name folders of this machine as its submodules.
        '-c',
        'protocol.file.allow=user',
        // Nothing works on in a repository that was given back.
        '-c',
        'gc.autoDetach=false',
        '-c',
        'maintenance.autoDetach=false',
        ...(workTree === undefined ? [] : ['--work-tree', workTree]),
        ...(gitDir === undefined ? [] : ['--git-dir', gitDir]),
        ...args,
      ],
      env: this.#environment(),
      cwd: workTree,
      signal: AbortSignal.any([signal, tooMuch.signal]),
      idleMs: this.#idleMs,
      onOutput: (stream, data) => {
        shown[stream - 1].write(data);
        if (stream === 1) {
          size += data.length;
          if (size > MAX_OUTPUT) tooMuch.abort();
          else kept[0].push(data);
        } else if (errorSize < MAX_ERROR) {
          errorSize += data.length;
          kept[1].push(data);
        }
      },
    });
    for (const s of shown) s.end();
    if (exit.code !== 0) for (const log of logs) log.showTail();
    if (tooMuch.signal.aborted) {
      throw new BuildError(Code.ResourceExhausted, `git ${args[0]} answered with more than ${MAX_OUTPUT} bytes`);
    }
    return {
      ...exit,
      stdout: Buffer.concat(kept[0]),
      stderr: redaction.text(Buffer.concat(kept[1]).toString('utf8')),
    };
  }

  #environment(): Record<string, string> {
    const { header, agentSocket, knownHostsFile } = this.#settings;
    const hosts =
      knownHostsFile === undefined ? '-o StrictHostKeyChecking=no' : `-o UserKnownHostsFile=${knownHostsFile}`;
    const env: Record<string, string> = {
      PATH: process.env.PATH ?? '',
      GIT_TERMINAL_PROMPT: '0',
      GIT_SSH_COMMAND: `ssh -F /dev/null ${hosts} -o ServerAliveInterval=15 -o ServerAliveCountMax=4`,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_HTTP_LOW_SPEED_LIMIT: '1',
      GIT_HTTP_LOW_SPEED_TIME: String(Math.ceil(this.#idleMs / 1000)),
      HOME: '/dev/null',
      LC_ALL: 'C',
    };
    for (const name of PROXIES) {
      const value = process.env[name];
      if (value !== undefined) env[name] = value;
    }
    if (agentSocket !== undefined) env['SSH_AUTH_SOCK'] = agentSocket;
    if (header !== undefined) {
      // Not among the arguments, which everybody on the machine can see.
      env['GIT_CONFIG_COUNT'] = '1';
      env['GIT_CONFIG_KEY_0'] = `http.${header.url}.extraheader`;
      env['GIT_CONFIG_VALUE_0'] = `Authorization: ${header.value}`;
    }
    return env;
  }
}
