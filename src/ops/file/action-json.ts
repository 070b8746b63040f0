/** Go's JSON of an action's message, byte for byte (solver/pb/ops.pb.go, json.go): it is hashed for the cache key. */
import { goJson } from '../../oci/index.ts';
import type { ChownOpt, FileAction, UserOpt } from '../../proto/ops.pb.ts';

type Value = string | number | bigint | boolean | readonly string[] | Uint8Array | RawJson | undefined;

/** A message that is JSON already; it is there even when it is empty. */
interface RawJson {
  readonly raw: string;
}

/** undefined where omitempty leaves the field out. */
function encode(value: Value): string | undefined {
  if (value === undefined || value === false || value === '' || value === 0 || value === 0n) return undefined;
  if (typeof value === 'string') return goJson(value);
  if (typeof value !== 'object') return String(value);
  if (value instanceof Uint8Array) return value.length === 0 ? undefined : `"${Buffer.from(value).toString('base64')}"`;
  if ('raw' in value) return value.raw;
  return value.length === 0 ? undefined : `[${value.map((v) => goJson(v)).join(',')}]`;
}

function object(fields: ReadonlyArray<readonly [name: string, value: Value]>): string {
  const parts: string[] = [];
  for (const [name, value] of fields) {
    const text = encode(value);
    if (text !== undefined) parts.push(`"${name}":${text}`);
  }
  return `{${parts.join(',')}}`;
}

function userJson(option: UserOpt | undefined): RawJson | undefined {
  if (option === undefined) return undefined;
  const user = option.user;
  let fields: ReadonlyArray<readonly [string, Value]> = [];
  if (user?.$case === 'byName') {
    fields = [
      [
        'byName',
        {
          raw: object([
            ['name', user.value.name],
            ['input', user.value.input],
          ]),
        },
      ],
    ];
  } else if (user?.$case === 'byID') fields = [['byId', user.value]];
  return { raw: `{"User":${object(fields)}}` };
}

function ownerJson(owner: ChownOpt | undefined): RawJson | undefined {
  if (owner === undefined) return undefined;
  return {
    raw: object([
      ['user', userJson(owner.user)],
      ['group', userJson(owner.group)],
    ]),
  };
}

/** `source` stands in for a copy's src. undefined for an action without a kind. */
export function actionJson(action: FileAction, source?: string): string | undefined {
  const kind = action.action;
  switch (kind?.$case) {
    case 'mkdir': {
      const { path, mode, makeParents, owner, timestamp } = kind.value;
      return object([
        ['path', path],
        ['mode', mode],
        ['makeParents', makeParents],
        ['owner', ownerJson(owner)],
        ['timestamp', timestamp],
      ]);
    }
    case 'mkfile': {
      const { path, mode, data, owner, timestamp } = kind.value;
      return object([
        ['path', path],
        ['mode', mode],
        ['data', data],
        ['owner', ownerJson(owner)],
        ['timestamp', timestamp],
      ]);
    }
    case 'symlink': {
      const { oldpath, newpath, owner, timestamp } = kind.value;
      return object([
        ['oldpath', oldpath],
        ['newpath', newpath],
        ['owner', ownerJson(owner)],
        ['timestamp', timestamp],
      ]);
    }
    case 'rm': {
      const { path, allowNotFound, allowWildcard } = kind.value;
      return object([
        ['path', path],
        ['allowNotFound', allowNotFound],
        ['allowWildcard', allowWildcard],
      ]);
    }
    case 'copy': {
      const copy = kind.value;
      return object([
        ['src', source ?? copy.src],
        ['dest', copy.dest],
        ['owner', ownerJson(copy.owner)],
        ['mode', copy.mode],
        ['followSymlink', copy.followSymlink],
        ['dirCopyContents', copy.dirCopyContents],
        ['attemptUnpackDockerCompatibility', copy.attemptUnpackDockerCompatibility],
        ['createDestPath', copy.createDestPath],
        ['allowWildcard', copy.allowWildcard],
        ['allowEmptyWildcard', copy.allowEmptyWildcard],
        ['timestamp', copy.timestamp],
        ['include_patterns', copy.includePatterns],
        ['exclude_patterns', copy.excludePatterns],
        ['alwaysReplaceExistingDestPaths', copy.alwaysReplaceExistingDestPaths],
        ['modeStr', copy.modeStr],
        ['required_paths', copy.requiredPaths],
      ]);
    }
    default:
      return undefined;
  }
}
