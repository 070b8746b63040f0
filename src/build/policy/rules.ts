/** Rules of a client or a frontend about where content may come from (upstream: sourcepolicy/). */
import { BuildError, Code, invalidArgument, wrapError } from '../../base/index.ts';
import { PolicyAction } from '../../proto/policy.pb.ts';
import type { Policy, Rule } from '../../proto/policy.pb.ts';
import type { SourceOp } from '../../proto/ops.pb.ts';
import { compileSelector } from './selector.ts';
import type { SourceSelector } from './selector.ts';

interface CompiledRule {
  readonly rule: Rule;
  readonly selector: SourceSelector;
}

/** Conversions of one source, one after the other; more are taken for a circle. */
const MAX_CONVERSIONS = 20;
/** Rules that are looked at in one go, before others get their turn. */
const RULES_AT_ONCE = 50;

/** Throws InvalidArgument for a policy that cannot be meant. */
export function validatePolicy(policy: Policy): void {
  for (const rule of policy.rules) {
    if (rule.selector === undefined) throw invalidArgument('invalid nil selector in policy');
  }
}

export class SourceRules {
  readonly #policies: readonly (readonly CompiledRule[])[];

  /** The policies are asked in order. */
  constructor(policies: readonly Policy[]) {
    this.#policies = policies.map((policy) => {
      validatePolicy(policy);
      return policy.rules.map((rule) => ({
        rule,
        selector: compileSelector(rule.selector as NonNullable<Rule['selector']>),
      }));
    });
  }

  get isEmpty(): boolean {
    return this.#policies.every((rules) => rules.length === 0);
  }

  /** Converts the source in place. Throws when it is denied. */
  async apply(source: SourceOp): Promise<void> {
    for (let i = 0; await this.#convert(source); i++) {
      if (i >= MAX_CONVERSIONS) {
        throw new BuildError(Code.Unknown, 'too many mutations on a single source: too many operations');
      }
    }
  }

  /** True when a rule changed it: everything is to be asked again. */
  async #convert(source: SourceOp): Promise<boolean> {
    for (const rules of this.#policies) if (await this.#convertBy(rules, source)) return true;
    return false;
  }

  async #convertBy(rules: readonly CompiledRule[], source: SourceOp): Promise<boolean> {
    const { identifier } = source;
    let denied = false;
    for (const [i, { rule, selector }] of rules.entries()) {
      if (i > 0 && i % RULES_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
      if (!matches(selector, source)) continue;
      switch (rule.action) {
        case PolicyAction.ALLOW:
          denied = false;
          break;
        case PolicyAction.DENY:
          denied = true;
          break;
        case PolicyAction.CONVERT:
          if (convert(source, rule, selector)) return true;
          break;
        default: {
          const what = `rule ${String(rule.action)} ${selector.identifier}`;
          throw invalidArgument(`source policy: ${what}: unknown type ${JSON.stringify(identifier)}`);
        }
      }
    }
    if (denied) {
      const text = `source ${JSON.stringify(identifier)} denied by policy: source denied by policy`;
      throw new BuildError(Code.PermissionDenied, text);
    }
    return false;
  }
}

function matches(selector: SourceSelector, source: SourceOp): boolean {
  try {
    return selector.matches(source.identifier, source.attrs);
  } catch (error) {
    throw wrapError(error, 'error matching source policy');
  }
}

/** False when nothing changed: such a rule is as good as none. */
function convert(source: SourceOp, { updates }: Rule, selector: SourceSelector): boolean {
  if (updates === undefined) {
    throw invalidArgument('error mutating source policy: missing destination for convert rule');
  }
  let identifier: string;
  try {
    identifier = selector.format(source.identifier, updates.identifier || selector.identifier);
  } catch (error) {
    throw wrapError(error, 'error mutating source policy: error formatting destination');
  }
  let changed = false;
  if (identifier !== '' && identifier !== source.identifier) {
    source.identifier = identifier;
    changed = true;
  }
  for (const [key, value] of updates.attrs) {
    if (source.attrs.get(key) === value) continue;
    source.attrs.set(key, value);
    changed = true;
  }
  return changed;
}
