/** A frontend with its options. */
export interface FrontendChoice {
  readonly name: string;
  readonly opts: ReadonlyMap<string, string>;
}

const BUILTIN = 'dockerfile.v0';

/** An image frontend that names the daemon's own, and is not a context of the client, is that (upstream: llbsolver/solver.go). */
export function chooseBuiltin({ name, opts }: FrontendChoice): FrontendChoice {
  if (name !== 'gateway.v0' || opts.get('source') !== BUILTIN) return { name, opts };
  const isContext = (key: string): boolean => key === `context:${BUILTIN}` || key.startsWith(`context:${BUILTIN}::`);
  if ([...opts.keys()].some(isContext)) return { name, opts };
  return { name: BUILTIN, opts: new Map([...opts].filter(([key]) => key !== 'source')) };
}
