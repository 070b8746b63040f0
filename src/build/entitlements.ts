/** What a client may ask of the host (upstream: util/entitlements): asked for by the build, allowed by the daemon. */
import { BuildError, Code, invalidArgument } from '../base/index.ts';

const KNOWN = ['security.insecure', 'network.host', 'device'] as const;
export type Entitlement = (typeof KNOWN)[number];

/** `device=name` counts as `device`. Throws InvalidArgument for a name that is none. */
export function parseEntitlement(text: string): Entitlement {
  const name = text.startsWith('device=') ? 'device' : text;
  const known = KNOWN.find((k) => k === name);
  if (known === undefined) throw invalidArgument(`unknown entitlement ${text}`);
  return known;
}

/** The set that a build has, or PermissionDenied naming the first that the daemon does not grant. */
export function grantEntitlements(
  asked: readonly string[],
  allowed: ReadonlySet<Entitlement>,
): ReadonlySet<Entitlement> {
  const granted = new Set<Entitlement>();
  for (const text of asked) {
    const entitlement = parseEntitlement(text);
    if (!allowed.has(entitlement)) {
      const message = `granting entitlement ${entitlement} is not allowed by build daemon configuration`;
      throw new BuildError(Code.PermissionDenied, message);
    }
    granted.add(entitlement);
  }
  return granted;
}

function requireEntitlement(granted: ReadonlySet<Entitlement>, entitlement: Entitlement): void {
  if (!granted.has(entitlement)) throw new BuildError(Code.PermissionDenied, `${entitlement} is not allowed`);
}

/**
 * The one answer to whether a build may start such a process: asked when a definition is loaded, and by every start of a
 * process that is no step. Throws PermissionDenied.
 */
export function authorizeProcess(
  granted: ReadonlySet<Entitlement>,
  wanted: { readonly network: string; readonly security: string },
): void {
  if (wanted.network === 'host') requireEntitlement(granted, 'network.host');
  if (wanted.security === 'insecure') requireEntitlement(granted, 'security.insecure');
}
