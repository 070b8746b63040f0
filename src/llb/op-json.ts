/** Ops as Go's encoding/json writes upstream's messages (solver/pb/ops.pb.go, json.go): what provenance shows of them. */
import type { GoJsonValue } from '../oci/index.ts';
import type { Definition, FileAction, Locations, Op, OpMetadata, UserOpt } from '../proto/ops.pb.ts';

type Fields = Record<string, GoJsonValue | undefined>;

/** Fields of the .proto that are not in camel case. */
const NAMES: Readonly<Record<string, string>> = {
  proxyEnv: 'proxy_env',
  httpProxy: 'http_proxy',
  httpsProxy: 'https_proxy',
  ftpProxy: 'ftp_proxy',
  noProxy: 'no_proxy',
  allProxy: 'all_proxy',
  ignoreCache: 'ignore_cache',
  exportCache: 'export_cache',
  progressGroup: 'progress_group',
  linuxResources: 'linux_resources',
  includePatterns: 'include_patterns',
  excludePatterns: 'exclude_patterns',
  requiredPaths: 'required_paths',
};

/** omitempty. A message that is there stays, even without fields. */
function isZero(value: unknown): boolean {
  if (value === undefined || value === '' || value === 0 || value === 0n || value === false) return true;
  if (value instanceof Map) return value.size === 0;
  return (Array.isArray(value) || value instanceof Uint8Array) && value.length === 0;
}

function valueJson(value: unknown): GoJsonValue {
  if (Array.isArray(value)) return value.map(valueJson);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key as string, valueJson(item)]));
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value as GoJsonValue;
  return messageJson(value);
}

function messageJson(message: object): GoJsonValue {
  if ('user' in message && 'group' in message) return ownerJson(message as { user?: UserOpt; group?: UserOpt });
  if ('secondaryInput' in message) return actionJson(message as FileAction);
  const fields: Fields = {};
  for (const [key, value] of Object.entries(message)) {
    if (key !== '_unknownFields' && !isZero(value)) fields[NAMES[key] ?? key] = valueJson(value);
  }
  return fields;
}

function ownerJson({ user, group }: { user?: UserOpt; group?: UserOpt }): GoJsonValue {
  return { user: user && userJson(user), group: group && userJson(group) };
}

function userJson({ user }: UserOpt): GoJsonValue {
  switch (user?.$case) {
    case 'byName':
      return { User: { byName: messageJson(user.value) } };
    case 'byID':
      return { User: { byId: user.value || undefined } };
    default:
      return { User: {} };
  }
}

/** A symlink is not told. */
function actionJson({ input, secondaryInput, output, action }: FileAction): GoJsonValue {
  const kind = action === undefined || action.$case === 'symlink' ? {} : { [action.$case]: messageJson(action.value) };
  return { input, secondaryInput, output, Action: kind };
}

export function opJson({ inputs, op, platform, constraints }: Op): GoJsonValue {
  return {
    inputs: inputs.length === 0 ? undefined : inputs.map(messageJson),
    Op: op === undefined ? {} : { [op.$case]: messageJson(op.value) },
    platform: platform && messageJson(platform),
    constraints: constraints && messageJson(constraints),
  };
}

/** As `llb.OpMetadata` (client/llb/state.go). */
export function opMetadataJson(metadata: OpMetadata): GoJsonValue {
  return messageJson(metadata);
}

export function definitionJson(definition: Definition): GoJsonValue {
  return messageJson(definition);
}

export function locationsJson(locations: Locations): GoJsonValue {
  return messageJson(locations);
}
