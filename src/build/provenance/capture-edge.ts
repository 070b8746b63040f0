import { Capture } from '../../attest/index.ts';
import type { StepFacts } from '../../attest/index.ts';
import type { Edge, Job } from '../../solver/index.ts';

/** How the result of an edge that was built was made. */
export function captureEdge(job: Job, edge: Edge): Capture {
  const capture = new Capture();
  // Ops of this daemon tell nothing else (ops/).
  for (const facts of job.facts(edge) as readonly StepFacts[]) capture.add(facts);
  return capture;
}
