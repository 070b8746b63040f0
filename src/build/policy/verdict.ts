/** A client is asked about every source of its build, and says yes, no, or what to take instead (upstream: sourcepolicy/policysession). */
import { BuildError, Code, invalidArgument, jsonDetail, wrapError } from '../../base/index.ts';
import type { ResolveSourceMetaRequest, ResolveSourceMetaResponse } from '../../proto/gateway.pb.ts';
import type { Platform, SourceOp } from '../../proto/ops.pb.ts';
import { PolicyAction } from '../../proto/policy.pb.ts';
import type { CheckPolicyRequest, CheckPolicyResponse, DecisionResponse } from '../../proto/policysession.pb.ts';

export interface Verdicts {
  ask(request: CheckPolicyRequest, signal: AbortSignal): Promise<CheckPolicyResponse>;
  /** What a client wants to know before it decides. */
  describe(request: ResolveSourceMetaRequest, signal: AbortSignal): Promise<ResolveSourceMetaResponse>;
}

/** Questions about one source, those about what it was converted to with them. */
const MAX_QUESTIONS = 10;

export class Inquiry {
  readonly #verdicts: Verdicts;
  readonly #signal: AbortSignal;
  #left = MAX_QUESTIONS;

  constructor(verdicts: Verdicts, signal: AbortSignal) {
    this.#verdicts = verdicts;
    this.#signal = signal;
  }

  /** True when the client put another source in place, which is to be judged anew. Throws when it says no. */
  async decide(source: SourceOp, platform: Platform | undefined): Promise<boolean> {
    let known: ResolveSourceMetaResponse = { Source: source, Image: undefined, Git: undefined, HTTP: undefined };
    for (;;) {
      if (this.#left-- === 0) throw new BuildError(Code.Unknown, 'too many policy requests');
      const request = { Platform: platform, Source: known, caps: new Map<string, boolean>() };
      const { result } = await this.#verdicts.ask(request, this.#signal);
      if (result?.$case === 'request') known = await this.#describe(result.value, source);
      else return this.#conclude(result?.value, source);
    }
  }

  async #describe(wanted: ResolveSourceMetaRequest, source: SourceOp): Promise<ResolveSourceMetaResponse> {
    const named = wanted.Source?.identifier ?? '';
    if (named !== source.identifier) {
      const names = `${JSON.stringify(named)} != ${JSON.stringify(source.identifier)}`;
      throw invalidArgument(`policy requested different source identifier: ${names}`);
    }
    const attrs = wanted.Source?.attrs ?? new Map<string, string>();
    if (attrs.size !== source.attrs.size) {
      const sizes = `${source.attrs.size} != ${attrs.size}`;
      throw invalidArgument(`policy requested different source attrs: map length mismatch: ${sizes}`);
    }
    for (const [key, value] of source.attrs) {
      if (attrs.get(key) === value) continue;
      throw invalidArgument(`policy requested different source attrs: value mismatch for key ${key}`);
    }
    try {
      return await this.#verdicts.describe(wanted, this.#signal);
    } catch (error) {
      throw wrapError(error, 'error resolving source metadata from policy request');
    }
  }

  #conclude(decision: DecisionResponse | undefined, source: SourceOp): boolean {
    if (decision === undefined) throw invalidArgument('no decision in policy response');
    switch (decision.action) {
      case PolicyAction.ALLOW:
        return false;
      case PolicyAction.CONVERT:
        if (decision.update === undefined) throw invalidArgument('convert action requires updated source');
        source.identifier = decision.update.identifier;
        source.attrs = decision.update.attrs;
        return true;
      default:
        throw denied(decision, source.identifier);
    }
  }
}

/** The client's reasons travel with the error: its users see them. */
function denied({ action, denyMessages }: DecisionResponse, identifier: string): BuildError {
  const name = action === PolicyAction.DENY ? 'DENY' : String(action);
  const text = `source ${JSON.stringify(identifier)} not allowed by policy: action ${name}`;
  const error = new BuildError(Code.PermissionDenied, text);
  if (denyMessages.length === 0) return error;
  const messages = denyMessages.map(({ message }) => ({ message }));
  return error.withDetail(jsonDetail('policysession.DecisionResponse', { action: 'DENY', denyMessages: messages }));
}
