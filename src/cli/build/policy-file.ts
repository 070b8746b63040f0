import { readFileSync } from 'node:fs';
import { invalidArgument, wrapError } from '../../base/index.ts';
import { AttrMatch, MatchType, Policy, PolicyAction } from '../../proto/policy.pb.ts';

/** The fields of a policy whose values are names (or their numbers). */
const NAMED: ReadonlyMap<string, object> = new Map<string, object>([
  ['action', PolicyAction],
  ['matchType', MatchType],
  ['condition', AttrMatch],
]);

/** Parsing JSON, the generated reader takes a name that it does not know for a number of its own. */
function checkName(key: string, value: unknown): unknown {
  const known = NAMED.get(key);
  if (known === undefined || value === null) return value;
  const names = Object.entries(known).filter(([, number]) => number >= 0);
  if (names.some(([name, number]) => value === name || value === number)) return value;
  throw invalidArgument(`unrecognized enum ${names[0][0]} value ${JSON.stringify(value)}`);
}

/** `--source-policy-file`: a sourcepolicy.Policy as JSON. */
export function readPolicy(path: string): Policy | undefined {
  if (path === '') return undefined;
  const text = readFileSync(path, 'utf8');
  try {
    return Policy.fromJSON(JSON.parse(text, checkName));
  } catch (error) {
    throw wrapError(error, `failed to unmarshal source-policy-file ${JSON.stringify(path)}`);
  }
}
