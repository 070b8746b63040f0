/** Which sources a rule is about, and what of them its conversion takes over. */
import { BuildError, Code, invalidArgument, LinearRegexp, quoteRegexp, wrapError } from '../../base/index.ts';
import { AttrMatch, MatchType } from '../../proto/policy.pb.ts';
import type { AttrConstraint, Selector } from '../../proto/policy.pb.ts';

type Constraint = (attrs: ReadonlyMap<string, string>) => boolean;

export interface SourceSelector {
  readonly identifier: string;
  /** Throws InvalidArgument for patterns that are none. */
  matches(identifier: string, attrs: ReadonlyMap<string, string>): boolean;
  /** A conversion's destination with the parts of the identifier that its placeholders ask for. */
  format(identifier: string, destination: string): string;
}

/** Patterns are compiled when they are first needed: a broken one only matters to sources that come to it. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

function constraintOf({ key, value, condition }: AttrConstraint): Constraint {
  switch (condition) {
    case AttrMatch.EQUAL:
      return (attrs) => (attrs.get(key) ?? '') === value;
    case AttrMatch.NOTEQUAL:
      return (attrs) => (attrs.get(key) ?? '') !== value;
    case AttrMatch.MATCHES: {
      const pattern = once(() => {
        try {
          return new LinearRegexp(value);
        } catch (error) {
          throw wrapError(error, `invalid regex ${JSON.stringify(value)}`);
        }
      });
      return (attrs) => pattern().test(attrs.get(key) ?? '');
    }
    default:
      return () => {
        throw invalidArgument(`unknown attr condition: ${String(condition)}`);
      };
  }
}

/** `*` stands for any text, and becomes `$1`, `$2`, … */
function wildcard(text: string): LinearRegexp {
  if (text.includes('**')) {
    throw invalidArgument(`failed to translate wildcard ${JSON.stringify(text)} to regexp: invalid wildcard: "**"`);
  }
  return new LinearRegexp(`^${text.split('*').map(quoteRegexp).join('(.*)')}$`);
}

export function compileSelector({ identifier, matchType, constraints }: Selector): SourceSelector {
  const conditions = constraints.map(constraintOf);
  const pattern = once(() => (matchType === MatchType.REGEX ? new LinearRegexp(identifier) : wildcard(identifier)));
  const unknown = (): BuildError => new BuildError(Code.InvalidArgument, `unknown match type: ${String(matchType)}`);
  const isPattern = matchType === MatchType.REGEX || matchType === MatchType.WILDCARD;
  return {
    identifier,
    matches: (source, attrs) => {
      if (!conditions.every((holds) => holds(attrs))) return false;
      if (source === identifier) return true;
      if (matchType === MatchType.EXACT) return false;
      if (!isPattern) throw unknown();
      return pattern().test(source);
    },
    format: (source, destination) => {
      if (matchType === MatchType.EXACT) return destination;
      if (!isPattern) throw unknown();
      if (matchType === MatchType.REGEX) return pattern().replaceAll(source, destination);
      return pattern().expand(source, destination) ?? source;
    },
  };
}
