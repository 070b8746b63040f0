/** COPY and ADD become file ops, over a merge op with `--link`. */
import { randomId } from '../../../base/index.ts';
import { FileAction, copy, git, http, merge, mkfile, owner, scratch } from '../../../llb/index.ts';
import type { ConstraintOptions, CopyOptions, State } from '../../../llb/index.ts';
import { parseModeChange } from '../../../files/index.ts';
import { parseChecksum } from '../../../oci/index.ts';
import { isAbsolutePath, resolvePath } from '../../../systems/index.ts';
import type { PathRules } from '../../../systems/index.ts';
import { parseGitRef } from '../git-ref.ts';
import type { GitRef } from '../git-ref.ts';
import { cleanPath, cut, joinPath } from '../go-text.ts';
import type { CommandOf } from '../instructions/index.ts';
import { RULES } from '../lint/index.ts';
import { prefixError, textError } from '../located-error.ts';
import { addHistory } from './image.ts';
import { epochText, locations } from './lowering.ts';
import type { Lowering } from './lowering.ts';
import type { StageState } from './stage-state.ts';
import { expandForName, stepName, upperCommand } from './step-name.ts';
import { urlFileName } from './url-file-name.ts';

type CopyCommand = CommandOf<'copy'> | CommandOf<'add'>;

/** `source` is what paths are taken from; `fromContext` when that is the build context. */
export interface CopyFrom {
  readonly source: State;
  readonly fromContext: boolean;
}

const isHttp = (source: string): boolean => /^https?:\/\//.test(source) && parseGitRef(source) === undefined;

function checkMode(chmod: string): number | string | undefined {
  if (chmod === '') return undefined;
  const notOctal = (): Error =>
    textError(`invalid chmod parameter: '${chmod}'. it should be octal string and between 0 and 07777`);
  if (/^[0-7]+$/.test(chmod)) {
    const mode = parseInt(chmod, 8);
    if (!(mode <= 0o7777)) throw notOctal();
    return mode;
  }
  if (/^[+-]?\d/.test(chmod)) throw notOctal();
  parseModeChange(chmod);
  return chmod;
}

function checkChecksum(command: CopyCommand): string {
  const checksum = command.kind === 'add' ? command.checksum : '';
  if (checksum === '') return '';
  if (command.sources.length !== 1) throw textError("checksum can't be specified for multiple sources");
  if (!/^https?:\/\//.test(command.sources[0]) && parseGitRef(command.sources[0]) === undefined) {
    throw textError('checksum requires HTTP(S) or Git sources');
  }
  return checksum;
}

/** As Go's filepath: `*`, `?` or `[` that no backslash stands before. */
function hasWildcards(path: string): boolean {
  return /(?:^|[^\\])(?:\\\\)*[*?[]/.test(path);
}

const ON_DRIVE = 'removing drive letter';

function withPrefix<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw prefixError(error, ON_DRIVE);
  }
}

function destination(stage: StageState, written: string): string {
  const { paths } = stage.system;
  const path = withPrefix(() => paths.withoutDrive(written, true));
  const isWhole = isAbsolutePath(paths, path);
  const parent = isWhole ? '/' : stage.state.getDir();
  const target = resolvePath(paths, parent, !isWhole && (path === '.' || path === '') ? './' : path, true);
  paths.checkNames(target);
  return target;
}

class CopyLowering {
  readonly #stage: StageState;
  readonly #command: CopyCommand;
  readonly #lowering: Lowering;
  readonly #from: CopyFrom;
  readonly #dest: string;
  readonly #paths: PathRules;
  readonly #common: CopyOptions;
  readonly #checksum: string;
  #action: FileAction | undefined;

  constructor(stage: StageState, command: CopyCommand, from: CopyFrom, lowering: Lowering) {
    this.#stage = stage;
    this.#command = command;
    this.#lowering = lowering;
    this.#from = from;
    this.#paths = stage.system.paths;
    this.#dest = destination(stage, command.dest);
    this.#common = {
      mode: checkMode(command.chmod),
      createDestPath: true,
      ...(command.chown === '' ? {} : { owner: owner(command.chown) }),
      ...(command.excludes.length === 0 ? {} : { excludePatterns: command.excludes.map(this.#paths.toSlash) }),
    };
    this.#checksum = checkChecksum(command);
  }

  #add(source: State, path: string, options: CopyOptions = {}): void {
    const all = { ...this.#common, ...options };
    this.#action =
      this.#action === undefined
        ? copy(source, path, this.#dest, all)
        : this.#action.copy(source, path, this.#dest, all);
  }

  lower(): void {
    const { kind, code } = this.#command;
    const { env } = this.#stage;
    const text = upperCommand(expandForName(code, env, this.#lowering.lex));
    const name = this.#name(text);
    for (const source of this.#command.sources) {
      const gitRef = parseGitRef(source);
      if (gitRef !== undefined && !gitRef.ambiguous) {
        if (kind === 'copy') throw textError("source can't be a git ref for COPY");
        this.#add(this.#git(gitRef, this.#command as CommandOf<'add'>, name), '/');
      } else if (isHttp(source)) {
        if (kind === 'copy') throw textError("source can't be a URL for COPY");
        this.#http(source, this.#command as CommandOf<'add'>, name);
      } else this.#path(source);
    }
    for (const content of this.#command.contents) {
      const file = withPrefix(() => this.#paths.withoutDrive(content.path, false));
      this.#paths.checkNames(file);
      const source = scratch().file(mkfile(file, 0o644, content.data), {
        customName: '[internal] preparing inline document',
        platform: this.#stage.platform,
      });
      this.#add(source, file);
    }
    if (this.#action === undefined) throw textError(`${kind.toUpperCase()} requires at least one source`);
    this.#finish(this.#action, text, name);
    addHistory(this.#stage.image, `${this.#historyText()} # buildkit`, true, epochText(this.#lowering.epoch));
  }

  #name(text: string): string {
    return stepName(this.#stage, text, {
      multiPlatform: this.#lowering.options.multiPlatform,
      platform: this.#stage.platform ?? this.#lowering.platforms.target,
      env: this.#stage.env,
    });
  }

  #git(ref: GitRef, command: CommandOf<'add'>, name: string): State {
    if (command.keepGitDir !== undefined && ref.keepGitDir !== undefined && command.keepGitDir !== ref.keepGitDir) {
      throw textError('inconsistent keep-git-dir configuration');
    }
    if (this.#checksum !== '' && ref.checksum !== '' && this.#checksum !== ref.checksum) {
      throw textError(`checksum mismatch "${this.#checksum}" != "${ref.checksum}"`);
    }
    return git(ref.remote, '', {
      customName: name,
      ref: ref.ref,
      keepGitDir: ref.keepGitDir ?? command.keepGitDir,
      checksum: ref.checksum || this.#checksum || undefined,
      subdir: ref.subdir || undefined,
      skipSubmodules: ref.submodules === false,
      fetchByCommit: ref.fetchByCommit,
    });
  }

  #http(url: string, command: CommandOf<'add'>, name: string): void {
    const filename = urlFileName(url);
    const source = http(url, {
      filename,
      customName: name,
      checksum: this.#checksum === '' ? undefined : parseChecksum(this.#checksum),
      description: { 'com.docker.dockerfile.v1.command': '' },
    });
    this.#add(source, filename, { attemptUnpack: command.unpack ?? false });
  }

  /** Absolute, with slashes. */
  #source(path: string): string {
    return withPrefix(() => resolvePath(this.#paths, '/', path, false));
  }

  #path(given: string): void {
    const written = this.#paths.toSlash(given);
    this.#warnIgnored(written);
    let source = written;
    let includePatterns: string[] | undefined;
    let requiredPaths: string[] | undefined;
    if (this.#command.kind === 'copy' && this.#command.parents) {
      // What stands before `/./` is not kept.
      const [parent, rest, pivot] = cut(source, '/./');
      const pattern = this.#source(pivot ? rest : source);
      source = pivot ? parent : '/';
      includePatterns = [pattern.replace(/^\//, '')];
      if (!hasWildcards(source) && !hasWildcards(pattern)) {
        requiredPaths = [this.#source(joinPath(source, pattern))];
      }
    }
    const { kind } = this.#command;
    this.#add(this.#from.source, this.#source(source), {
      followSymlinks: true,
      copyDirContentsOnly: true,
      includePatterns,
      requiredPaths,
      attemptUnpack: kind === 'add' ? (this.#command.unpack ?? true) : false,
      allowWildcard: true,
      allowEmptyWildcard: true,
    });
  }

  #warnIgnored(written: string): void {
    const { ignore, linter } = this.#lowering;
    // With patterns that take others back it cannot be told here.
    if (!this.#from.fromContext || ignore === undefined || ignore.hasExclusions) return;
    const path = cleanPath(written);
    if (path === '.' || path === '/') {
      const all = ignore.texts(false).some((t) => t === '*' || t === '**' || t === '**/*');
      if (!all) return;
    }
    if (!ignore.matches(path)) return;
    const { kind, location, comments } = this.#command;
    linter.withComments(comments).run(RULES.copyIgnoredFile, location, kind === 'add' ? 'Add' : 'Copy', path);
  }

  #finish(action: FileAction, text: string, name: string): void {
    const { link, chmod, location } = this.#command;
    const stage = this.#stage;
    const options: ConstraintOptions = {
      customName: name,
      locations: locations(this.#lowering, location),
      ignoreCache: stage.ignoreCache,
      ...stage.filesFor(),
    };
    const canLink = stage.system.layers.standAlone && this.#lowering.caps.has('mergeop');
    if (!link || chmod !== '' || !canLink) {
      stage.state = stage.state.file(action, options);
      return;
    }
    // Both steps are shown as the one that the user wrote.
    const id = randomId();
    stage.stepIndex--;
    const groupName = this.#name(text);
    stage.stepIndex--;
    const linkName = this.#name(`LINK ${text}`);
    const layer = scratch().file(action, {
      ...options,
      platform: stage.platform,
      progressGroup: { id, name: groupName, weak: true },
    });
    const merged = merge([stage.state, layer], {
      ...options,
      customName: linkName,
      progressGroup: { id, name: groupName, weak: false },
    });
    stage.state = stage.state.withOutput(merged.output);
  }

  #historyText(): string {
    const command = this.#command;
    const words = [command.kind.toUpperCase()];
    if (command.kind === 'copy' && command.parents) words.push('--parents');
    if (command.chown !== '') words.push(`--chown=${command.chown}`);
    if (command.chmod !== '') words.push(`--chmod=${command.chmod}`);
    words.push(...command.sources, ...command.contents.map((c) => `<<${c.path}`), command.dest);
    return words.join(' ');
  }
}

export function lowerCopy(stage: StageState, command: CopyCommand, from: CopyFrom, lowering: Lowering): void {
  new CopyLowering(stage, command, from, lowering).lower();
}
