/** RUN becomes an exec op. */
import { mkfile, scratch } from '../../../llb/index.ts';
import type { ProxyEnvOptions, RunMount, RunOptions } from '../../../llb/index.ts';
import { systemOf } from '../../../systems/index.ts';
import { formatList, joinPath, trimSpace } from '../go-text.ts';
import { parseMount } from '../instructions/index.ts';
import type { CommandOf, Expander, Mount } from '../instructions/index.ts';
import { textError } from '../located-error.ts';
import { chompContent, findHeredocWord } from '../parse/index.ts';
import type { Env } from '../parse/index.ts';
import { addHistory } from './image.ts';
import { epochText, locations } from './lowering.ts';
import type { Lowering } from './lowering.ts';
import { lowerMounts } from './run-mounts.ts';
import type { PlannedCommand, StageState } from './stage-state.ts';
import { expandForName, stepName, upperCommand } from './step-name.ts';

export function withShell(stage: StageState, args: readonly string[]): string[] {
  const { Shell } = stage.image.config;
  // By the image, not by the stage's platform, as upstream.
  const { shell } = systemOf(stage.image.os);
  return [...(Shell && Shell.length > 0 ? Shell : shell.command), args.join(' ')];
}

function summary(document: string): string {
  const lines = trimSpace(document).replaceAll('\r\n', '\n').split('\n');
  return lines.length > 1 ? `${lines[0]}...` : lines[0];
}

interface Prepared {
  readonly args: readonly string[];
  /** Behind the instruction's text in the step's name. */
  readonly suffix: string;
  readonly mounts: readonly RunMount[];
}

/** A document may be the command, a script of its own, or input that the shell reads. */
function withDocuments(stage: StageState, command: CommandOf<'run'>): Prepared {
  const { args, files, shellForm } = command.line;
  if (files.length === 0) return { args, suffix: '', mounts: [] };
  if (args.length !== 1 || !shellForm) {
    throw textError(`parsing produced an invalid run command: ${formatList(args)}`);
  }
  if (findHeredocWord(args[0]) === undefined) {
    const bodies = files.map((f) => `\n${f.data}${f.name}`);
    return { args: [args[0] + bodies.join('')], suffix: '', mounts: [] };
  }
  const [file] = files;
  const data = file.chomp ? chompContent(file.data) : file.data;
  const suffix = ` (${summary(file.data)})`;
  const asFile = data.startsWith('#!') && systemOf(stage.image.os).shell.runsScripts;
  if (!asFile) return { args: [data], suffix, mounts: [] };
  const source = scratch()
    .dir('/')
    .file(mkfile(file.name, 0o755, data), {
      customName: '[internal] preparing inline document',
      platform: stage.platform,
    });
  const target = '/dev/pipes/';
  return {
    args: [joinPath(target, file.name)],
    suffix,
    mounts: [{ target, source, selector: '/', readonly: true }],
  };
}

export function proxyFromArgs(args: ReadonlyMap<string, string>): ProxyEnvOptions | undefined {
  const proxy: Record<string, string> = {};
  for (const key of [...args.keys()].sort()) {
    const field = (
      {
        http_proxy: 'httpProxy',
        https_proxy: 'httpsProxy',
        ftp_proxy: 'ftpProxy',
        no_proxy: 'noProxy',
        all_proxy: 'allProxy',
      } as Readonly<Record<string, string>>
    )[key.toLowerCase()];
    if (field !== undefined) proxy[field] = args.get(key) ?? '';
  }
  return Object.keys(proxy).length === 0 ? undefined : proxy;
}

/** Secrets that become variables are shown as stars. */
function maskedEnv(env: Env, mounts: readonly Mount[]): Env {
  const secret = new Set(mounts.filter((m) => m.type === 'secret').map((m) => m.env));
  return { get: (name) => (secret.has(name) ? '****' : env.get(name)), keys: () => env.keys() };
}

/** History shows declared arguments in front: `|1 A=b /bin/sh -c …`. */
function historyText(stage: StageState, args: readonly string[]): string {
  const values = new Map<string, string>();
  for (const { key, value } of stage.buildArgs) values.set(key, stage.env.get(key) ?? value ?? '');
  const shown = [...values].map(([key, value]) => `${key}=${value}`);
  return [...(shown.length > 0 ? [`|${shown.length}`, ...shown] : []), ...args].join(' ');
}

function limits(lowering: Lowering): Partial<RunOptions> {
  const { caps, options } = lowering;
  return {
    ulimits: caps.has('exec.meta.ulimit')
      ? options.ulimits.map((u) => ({ name: u.name, soft: Number(u.soft), hard: Number(u.hard) }))
      : [],
    cgroupParent: caps.has('exec.meta.cgroup.parent') && options.cgroupParent !== '' ? options.cgroupParent : undefined,
    linuxResources: caps.has('exec.meta.linux.resources') ? options.resources : undefined,
    extraHosts: options.extraHosts,
  };
}

function shmMount(lowering: Lowering): RunMount[] {
  const { caps, options } = lowering;
  if (options.shmSize <= 0n || !caps.has('exec.mount.tmpfs.size')) return [];
  return [{ target: '/dev/shm', tmpfs: { size: Number(options.shmSize) } }];
}

export function lowerRun(
  stage: StageState,
  command: CommandOf<'run'>,
  planned: PlannedCommand,
  lowering: Lowering,
  expand: Expander,
): void {
  const parsed = command.mounts.map((m) => parseMount(m, expand));
  // A command can reach any file.
  stage.paths.add('/');
  const { args: written, suffix, mounts: documents } = withDocuments(stage, command);
  const args = command.line.shellForm ? withShell(stage, written) : written;
  const { mounts, secrets, ssh } = lowerMounts(stage, parsed, planned.sources, lowering);
  const { location } = command;
  for (const { id, optional } of secrets) {
    stage.outline.addMount('secrets', { name: id, required: optional !== true, location });
  }
  for (const { id = 'default', optional } of ssh) {
    stage.outline.addMount('ssh', { name: id, required: optional !== true, location });
  }
  const { env } = stage;
  const lex = { ...lowering.lex, rawQuotes: true, keepUnset: true };
  const text = upperCommand(expandForName(command.code + suffix, maskedEnv(env, parsed), lex));
  const customName = stepName(stage, text, {
    multiPlatform: lowering.options.multiPlatform,
    platform: stage.state.getPlatform(),
    env,
  });
  stage.state = stage.state.run({
    args,
    mounts: [...documents, ...mounts, ...shmMount(lowering)],
    secrets,
    ssh,
    security: command.security,
    network: command.network === 'default' ? undefined : command.network,
    proxyEnv: proxyFromArgs(lowering.buildArgs),
    ignoreCache: stage.ignoreCache,
    customName,
    description: { 'com.docker.dockerfile.v1.command': command.code },
    locations: locations(lowering, command.location),
    ...limits(lowering),
  }).root;
  addHistory(stage.image, `RUN ${historyText(stage, args)} # buildkit`, true, epochText(lowering.epoch));
}
