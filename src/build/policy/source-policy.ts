/** All that has a say in where one build takes its content from: rules of the client, rules of a frontend, the client itself. */
import { invalidArgument } from '../../base/index.ts';
import type { Judge } from '../../gatekeeper/index.ts';
import type { Op, Platform, SourceOp } from '../../proto/ops.pb.ts';
import type { Policy } from '../../proto/policy.pb.ts';
import { SourceRules } from './rules.ts';
import { Inquiry } from './verdict.ts';
import type { Verdicts } from './verdict.ts';

export interface SourcePolicyOptions {
  /** Of the whole build. */
  readonly rules: readonly Policy[];
  readonly verdicts?: Verdicts;
  /** The identifier in the form that rules are written for; one that makes no sense stays as it is. */
  readonly normalize: (source: SourceOp) => string;
}

export class SourcePolicy {
  readonly rules: readonly Policy[];
  readonly #verdicts: Verdicts | undefined;
  readonly #normalize: SourcePolicyOptions['normalize'];

  constructor({ rules, verdicts, normalize }: SourcePolicyOptions) {
    this.rules = rules;
    this.#verdicts = verdicts;
    this.#normalize = normalize;
  }

  /** For the ops of a definition; undefined: nobody has anything to say. Throws InvalidArgument for rules that make no sense. */
  forDefinition(others: readonly Policy[], signal: AbortSignal): ((op: Op) => Promise<void>) | undefined {
    const rules = new SourceRules([...this.rules, ...others]);
    if (rules.isEmpty && this.#verdicts === undefined) return undefined;
    return async (op) => {
      if (op.op?.$case === 'source') await this.#judge(rules, op.op.value, op.platform, signal);
    };
  }

  /** For a source that a frontend asks about: converts it in place, or throws. */
  async judge(
    source: SourceOp,
    platform: Platform | undefined,
    others: readonly Policy[],
    signal: AbortSignal,
  ): Promise<void> {
    await this.#judge(new SourceRules([...others, ...this.rules]), source, platform, signal);
  }

  /** For a source that the client itself asks about before it decides. */
  async applyRules(source: SourceOp): Promise<void> {
    source.identifier = this.#normalize(source);
    await new SourceRules(this.rules).apply(source);
  }

  /** For a request of a step: as if its URL were a source. A request can only be sent to another URL, and only a GET. */
  readonly judgeRequest: Judge = async ({ method, url }, signal) => {
    const source: SourceOp = { identifier: url, attrs: new Map() };
    await this.#judge(new SourceRules(this.rules), source, undefined, signal);
    if (source.identifier === url && source.attrs.size === 0) return undefined;
    const what = `source policy converted proxy request ${JSON.stringify(url)}`;
    if (method !== 'GET') throw invalidArgument(`${what}, but conversion is only supported for GET`);
    if (source.attrs.size > 0) {
      throw invalidArgument(`${what} with attrs, but proxy conversion only supports URL updates`);
    }
    if (!/^https?:\/\//.test(source.identifier)) {
      const target = JSON.stringify(source.identifier);
      throw invalidArgument(`source policy converted proxy request to unsupported URL ${target}`);
    }
    return source.identifier;
  };

  async #judge(
    rules: SourceRules,
    source: SourceOp,
    platform: Platform | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const inquiry = this.#verdicts === undefined ? undefined : new Inquiry(this.#verdicts, signal);
    do {
      source.identifier = this.#normalize(source);
      await rules.apply(source);
    } while (inquiry !== undefined && (await inquiry.decide(source, platform)));
  }
}
