import { PolicyVerifierDefinition } from '../proto/policysession.pb.ts';
import type { CheckPolicyRequest, CheckPolicyResponse } from '../proto/policysession.pb.ts';
import type { SessionCaller } from './types.ts';

/** What the client says to a source, or what else it wants to know of it first. */
export function checkPolicy(
  caller: SessionCaller,
  request: CheckPolicyRequest,
  signal: AbortSignal,
): Promise<CheckPolicyResponse> {
  const { checkPolicy: method } = PolicyVerifierDefinition.methods;
  return caller.channel.unary(PolicyVerifierDefinition, method, request, { signal });
}
