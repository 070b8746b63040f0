/** Steps that nobody here could run are refused when they are handed in: nothing is pulled for them. */
import { jsonDetail, toBuildError, Turn } from '../base/index.ts';
import { platformFromPb } from '../llb/index.ts';
import { digestOf, normalizePlatform } from '../oci/index.ts';
import type { Platform } from '../oci/index.ts';
import { checkRunnable } from '../ops/index.ts';
import { Op } from '../proto/ops.pb.ts';
import type { Definition } from '../proto/ops.pb.ts';
import { withSources } from './lazy-ref.ts';

function decode(bytes: Uint8Array): Op | undefined {
  // Most definitions name Windows nowhere, and none is decoded twice for it.
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes('indows')) return undefined;
  try {
    return Op.decode(bytes);
  } catch {
    // Who loads it says what is wrong.
    return undefined;
  }
}

/** Throws FailedPrecondition with the lines of the step. `platforms` are those of the worker. */
export async function refuseForeignSteps(definition: Definition, platforms: readonly Platform[]): Promise<void> {
  const turn = new Turn();
  for (const bytes of definition.def) {
    if (turn.isSpent) await turn.pass();
    const op = decode(bytes);
    if (op?.op?.$case !== 'exec' || op.platform === undefined) continue;
    try {
      checkRunnable(op.op.value.meta?.args ?? [], normalizePlatform(platformFromPb(op.platform)), platforms);
    } catch (error) {
      throw withSources(
        toBuildError(error).withDetail(jsonDetail('errdefs.Vertex', { digest: digestOf(bytes) })),
        definition,
      );
    }
  }
}
