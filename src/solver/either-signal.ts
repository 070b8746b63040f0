/** A signal that aborts with either of two, and leaves no listener behind: a job outlives thousands of calls. */
export function eitherSignal(a: AbortSignal, b: AbortSignal | undefined): { signal: AbortSignal; release: () => void } {
  if (b === undefined) return { signal: a, release: () => {} };
  const abort = new AbortController();
  const onA = (): void => abort.abort(a.reason);
  const onB = (): void => abort.abort(b.reason);
  if (a.aborted) onA();
  else if (b.aborted) onB();
  a.addEventListener('abort', onA, { once: true });
  b.addEventListener('abort', onB, { once: true });
  return {
    signal: abort.signal,
    release: () => {
      a.removeEventListener('abort', onA);
      b.removeEventListener('abort', onB);
    },
  };
}
