/** Each instruction's effect on its stage: the state, the image's configuration, its history. */
import { formatDuration } from '../../../base/index.ts';
import { mkdir, owner } from '../../../llb/index.ts';
import { isAbsolutePath, resolvePath } from '../../../systems/index.ts';
import { parseGitRef } from '../git-ref.ts';
import { formatList, joinPath, quoteList } from '../go-text.ts';
import type { Command, CommandLine, CommandOf, Healthcheck, Located } from '../instructions/index.ts';
import { checkSecretKey, reportUndefined, RULES } from '../lint/index.ts';
import type { Linter } from '../lint/index.ts';
import { prefixError, textError } from '../located-error.ts';
import { expandWord } from '../parse/index.ts';
import { lowerCopy } from './copy.ts';
import { exposedPorts } from './expose.ts';
import { addHistory, setImageEnv } from './image.ts';
import { epochText, locations } from './lowering.ts';
import type { Lowering } from './lowering.ts';
import { sourceNotReady } from './plan.ts';
import { lowerRun, withShell } from './run.ts';
import type { PlannedCommand, StageState } from './stage-state.ts';
import { expandForName, stepName, upperCommand } from './step-name.ts';
import { checkSignal } from './stop-signal.ts';

/** Arguments that steer the scan for an SBOM and are no variables. */
const NOT_ENV = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

/** Returns the folder with slashes. */
export function setWorkdir(stage: StageState, path: string): string {
  const { paths } = stage.system;
  let dir: string;
  try {
    dir = resolvePath(paths, stage.image.config.WorkingDir ?? '', path, false);
  } catch (error) {
    throw prefixError(error, 'normalizing workdir: normalizing working directory');
  }
  stage.image.config.WorkingDir = paths.fromSlash(dir);
  stage.state = stage.state.dir(dir);
  return dir;
}

export function setUser(stage: StageState, user: string): void {
  stage.state = stage.state.user(user);
  stage.image.config.User = user;
}

function healthText(h: Healthcheck): string {
  return (
    `{Test:${formatList(h.test)} Interval:${formatDuration(h.interval)} Timeout:${formatDuration(h.timeout)} ` +
    `StartPeriod:${formatDuration(h.startPeriod)} StartInterval:${formatDuration(h.startInterval)} Retries:${h.retries}}`
  );
}

export class Dispatcher {
  readonly #stage: StageState;
  readonly #lowering: Lowering;
  readonly #linter: Linter;
  readonly #at: Located;

  constructor(stage: StageState, at: Located, lowering: Lowering) {
    this.#stage = stage;
    this.#lowering = lowering;
    this.#linter = lowering.linter.withComments(at.comments);
    this.#at = at;
  }

  #history(text: string, layer = false): void {
    addHistory(this.#stage.image, text, layer, epochText(this.#lowering.epoch));
  }

  #report(unmatched: Iterable<string>): void {
    const declared = new Set([...this.#stage.buildArgs.map((a) => a.key), ...NOT_ENV]);
    const { env, system } = this.#stage;
    reportUndefined(unmatched, { declared, env, rules: system.environment }, this.#at.location, this.#linter);
  }

  #expand = (word: string): string => {
    const { text, unmatched } = expandWord(word, this.#stage.env, this.#lowering.lex);
    this.#report(unmatched);
    return text;
  };

  /** Bodies of documents keep their quotes. */
  #expandBody = (body: string): string => {
    const { text, unmatched } = expandWord(body, this.#stage.env, { escape: '\\', ignoreQuotes: true });
    this.#report(unmatched);
    return text;
  };

  run(planned: PlannedCommand): void {
    const { command } = planned;
    switch (command.kind) {
      case 'env':
        return this.#env(command);
      case 'label':
        return this.#label(command);
      case 'maintainer':
        this.#stage.image.author = command.author;
        return this.#history(`MAINTAINER ${command.author}`);
      case 'add':
      case 'copy':
        return this.#copy(command, planned);
      case 'onbuild':
        (this.#stage.image.config.OnBuild ??= []).push(command.expression);
        return;
      case 'workdir':
        return this.#workdir(this.#expand(command.path));
      case 'run':
        return lowerRun(this.#stage, command, planned, this.#lowering, this.#expand);
      case 'cmd':
        return this.#cmd(command.line);
      case 'entrypoint':
        return this.#entrypoint(command.line);
      case 'healthcheck':
        return this.#healthcheck(command.health);
      case 'expose':
        return this.#expose(command.ports);
      case 'user': {
        const user = this.#expand(command.user);
        setUser(this.#stage, user);
        return this.#history(`USER ${user}`);
      }
      case 'volume':
        return this.#volume(command.volumes.map(this.#expand));
      case 'stopsignal': {
        const signal = this.#expand(command.signal);
        if (this.#stage.platform?.os === 'windows') {
          throw textError('The daemon on this platform does not support the command stopsignal');
        }
        checkSignal(signal);
        this.#stage.image.config.StopSignal = signal;
        return this.#history(`STOPSIGNAL ${signal}`);
      }
      case 'arg':
        return this.#arg(command);
      case 'shell':
        this.#stage.image.config.Shell = [...command.shell];
        return this.#history(`SHELL ${formatList(command.shell)}`);
    }
  }

  #env(command: CommandOf<'env'>): void {
    // All of a line see the variables as they were before it.
    const pairs = command.pairs.map((p) => ({ ...p, key: this.#expand(p.key), value: this.#expand(p.value) }));
    for (const { key, value, legacy } of pairs) {
      if (legacy) this.#linter.run(RULES.legacyKeyValueFormat, this.#at.location, command.name);
      checkSecretKey('ENV', key, this.#at.location, this.#linter);
      this.#stage.setEnv(key, value);
      setImageEnv(this.#stage.image, key, value, this.#stage.system.environment);
    }
    this.#history(['ENV', ...pairs.map((p) => `${p.key}=${p.value}`)].join(' '));
  }

  #label(command: CommandOf<'label'>): void {
    const pairs = command.pairs.map((p) => ({ ...p, key: this.#expand(p.key), value: this.#expand(p.value) }));
    const labels = (this.#stage.image.config.Labels ??= {});
    for (const { key, value, legacy } of pairs) {
      if (legacy) this.#linter.run(RULES.legacyKeyValueFormat, this.#at.location, command.name);
      // A plain assignment would not store `__proto__`.
      Object.defineProperty(labels, key, { value, enumerable: true, configurable: true, writable: true });
    }
    this.#history(['LABEL', ...pairs.map((p) => `${p.key}=${p.value}`)].join(' '));
  }

  #copy(command: CommandOf<'add'> | CommandOf<'copy'>, planned: PlannedCommand): void {
    const expanded = {
      ...command,
      chown: this.#expand(command.chown),
      chmod: this.#expand(command.chmod),
      ...(command.kind === 'add' ? { checksum: this.#expand(command.checksum) } : {}),
      sources: command.sources.map(this.#expand),
      dest: this.#expand(command.dest),
      contents: command.contents.map((c) => (c.expand ? { ...c, data: this.#expandBody(c.data) } : c)),
    };
    const from = planned.sources[0];
    if (from !== undefined && !from.dispatched) {
      throw sourceNotReady(command.kind === 'copy' ? command.from : '', this.#stage);
    }
    const source = from?.state ?? this.#lowering.context;
    lowerCopy(this.#stage, expanded, { source, fromContext: from === undefined }, this.#lowering);
    const paths = from?.paths ?? this.#stage.contextPaths;
    for (const path of expanded.sources) {
      if (command.kind === 'add' && /^https?:\/\//.test(path)) continue;
      const isFile = parseGitRef(path) === undefined;
      paths.add(joinPath('/', isFile ? resolvePath(this.#stage.system.paths, '/', path, false) : path));
    }
  }

  #workdir(path: string): void {
    const stage = this.#stage;
    const { paths } = stage.system;
    // Where the base image stands must not be relied on; once is enough to say so.
    if (!stage.workdirSet && !isAbsolutePath(paths, path)) {
      this.#linter.run(RULES.workdirRelativePath, this.#at.location, path);
    }
    stage.workdirSet = true;
    const dir = setWorkdir(stage, path);
    paths.checkNames(dir);
    if (dir !== '/') {
      const { User } = stage.image.config;
      const { epoch, options, lex } = this.#lowering;
      const text = upperCommand(expandForName(this.#at.code, stage.env, lex));
      const customName = stepName(stage, text, {
        multiPlatform: options.multiPlatform,
        platform: stage.platform ?? this.#lowering.platforms.target,
        env: stage.env,
      });
      const action = mkdir(dir, 0o755, {
        makeParents: true,
        owner: User ? owner(User) : undefined,
        createdTime: epoch === undefined ? undefined : epoch * 1_000_000_000n,
      });
      stage.state = stage.state.file(action, {
        customName,
        locations: locations(this.#lowering, this.#at.location),
        platform: stage.platform,
        ...stage.filesFor(),
      });
    }
    this.#history(`WORKDIR ${dir}`, dir !== '/');
  }

  #once(kind: 'cmd' | 'entrypoint' | 'healthcheck'): void {
    const before = this.#stage.last.get(kind);
    // The one before is the one that goes unheard.
    if (before !== undefined) this.#linter.run(RULES.multipleInstructionsDisallowed, before, this.#at.name);
    this.#stage.last.set(kind, this.#at.location);
  }

  #argsOf(line: CommandLine): string[] {
    if (!line.shellForm) return [...line.args];
    const { Shell } = this.#stage.image.config;
    if (!Shell || Shell.length === 0) {
      this.#linter.run(RULES.jsonArgsRecommended, this.#at.location, this.#at.name);
    }
    return withShell(this.#stage, line.args);
  }

  #cmd(line: CommandLine): void {
    this.#once('cmd');
    const args = this.#argsOf(line);
    this.#stage.image.config.Cmd = args;
    this.#stage.image.config.ArgsEscaped = true;
    this.#history(`CMD ${quoteList(args)}`);
  }

  #entrypoint(line: CommandLine): void {
    this.#once('entrypoint');
    const args = this.#argsOf(line);
    this.#stage.image.config.Entrypoint = args;
    // Arguments of a base image were meant for its own entry point.
    if (!this.#stage.last.has('cmd')) this.#stage.image.config.Cmd = undefined;
    this.#history(`ENTRYPOINT ${quoteList(args)}`);
  }

  #healthcheck(health: Healthcheck): void {
    this.#once('healthcheck');
    this.#stage.image.config.Healthcheck = {
      Test: [...health.test],
      Interval: Number(health.interval),
      Timeout: Number(health.timeout),
      StartPeriod: Number(health.startPeriod),
      StartInterval: Number(health.startInterval),
      Retries: health.retries,
    };
    this.#history(`HEALTHCHECK ${healthText(health)}`);
  }

  #expose(written: readonly string[]): void {
    const words = written.flatMap((p) => expandWord(p, this.#stage.env, this.#lowering.lex).words);
    const ports = words.flatMap((w) => exposedPorts(w, this.#at.location, this.#linter));
    const exposed = (this.#stage.image.config.ExposedPorts ??= {});
    for (const port of ports) exposed[port] = {};
    this.#history(`EXPOSE ${formatList(ports)}`);
  }

  #volume(volumes: readonly string[]): void {
    const all = (this.#stage.image.config.Volumes ??= {});
    for (const volume of volumes) {
      if (volume === '') throw textError('VOLUME specified can not be an empty string');
      Object.defineProperty(all, volume, { value: {}, enumerable: true, configurable: true, writable: true });
    }
    this.#history(`VOLUME ${formatList(volumes)}`);
  }

  #arg(command: Command & { kind: 'arg' }): void {
    const texts: string[] = [];
    for (const arg of command.args) {
      checkSecretKey('ARG', arg.key, this.#at.location, this.#linter);
      // A default that is not used may be wrong.
      const given = this.#lowering.buildArgs.get(arg.key);
      let value = given;
      if (value === undefined) {
        value = arg.value === undefined ? this.#lowering.globalArgs.get(arg.key) : this.#expand(arg.value);
      }
      if (value !== undefined && !NOT_ENV.has(arg.key)) this.#stage.setEnv(arg.key, value);
      const inherited = given === undefined && arg.value === undefined && value !== undefined;
      if (inherited) this.#stage.outline.use([arg.key]);
      else {
        const { key: name, description } = arg;
        this.#stage.outline.addArg({ name, description, value: value ?? '', location: this.#at.location });
      }
      this.#stage.buildArgs.push({ ...arg, value });
      texts.push(value === undefined ? arg.key : `${arg.key}=${value}`);
    }
    this.#history(`ARG ${texts.join(' ')}`);
  }
}
