import { BuildError, Code } from '../base/index.ts';
import { Transport } from '../http/index.ts';
import { parseReference } from '../oci/index.ts';
import type { Reference } from '../oci/index.ts';
import { ApiClient } from './api-client.ts';
import { Authorizer } from './authorizer.ts';
import { endpointsOf, foreignEndpoints } from './endpoints.ts';
import type { Endpoint } from './endpoints.ts';
import { fetchContent, onEndpoints, resolve } from './pull.ts';
import { findBlob, pushBlob, pushManifest } from './push.ts';
import { referrersAt } from './referrers.ts';
import type { Registry, RegistryContext, RegistryHostConfig } from './types.ts';

export interface RegistryOptions {
  /** By the domain of references: `docker.io`, `localhost:5000`. */
  readonly hosts: ReadonlyMap<string, RegistryHostConfig>;
  readonly userAgent?: string;
  /** How long a server may be silent. */
  readonly idleTimeoutMs?: number;
}

const IDLE_TIMEOUT_MS = 60_000;
/** To one registry at a time. */
const CONNECTIONS = 8;

export interface ClosableRegistry extends Registry {
  close(): Promise<void>;
}

export function createRegistry(options: RegistryOptions): ClosableRegistry {
  const transport = new Transport({
    idleTimeoutMs: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
    userAgent: options.userAgent,
    connections: CONNECTIONS,
  });
  const api = new ApiClient(transport, new Authorizer(transport));
  const pullFrom = (domain: string, { insecure }: RegistryContext): Endpoint[] =>
    endpointsOf(options, domain, { push: false, insecure });
  /** Pushes stay with the first endpoint that answers at all. */
  const onPush = async (
    text: string,
    insecure: boolean | undefined,
    work: (endpoint: Endpoint, ref: Reference) => Promise<void>,
  ): Promise<void> => {
    const ref = parseReference(text);
    await onEndpoints(endpointsOf(options, ref.domain, { push: true, insecure }), async (endpoint) => {
      await work(endpoint, ref);
      return true;
    });
  };
  return {
    resolve: async (ref: string, context: RegistryContext) =>
      resolve(api, pullFrom(parseReference(ref).domain, context), ref, context),
    fetch: (ref, descriptor, context) => {
      const parsed = parseReference(ref);
      // As containerd does it: the registry is asked for a foreign layer when no other place has it.
      const endpoints = [...foreignEndpoints(options, descriptor.urls ?? []), ...pullFrom(parsed.domain, context)];
      return fetchContent(api, endpoints, parsed, descriptor, context);
    },
    blobSize: async (text, digest, context) => {
      const ref = parseReference(text);
      const size = await onEndpoints(pullFrom(ref.domain, context), (e) =>
        findBlob(api, e, ref, digest, context, false),
      );
      if (Number.isNaN(size)) throw new BuildError(Code.Unknown, `${text}: registry does not tell the blob's size`);
      return size;
    },
    referrers: async (text, digest, context) => {
      const ref = parseReference(text);
      const found = await onEndpoints(pullFrom(ref.domain, context), (e) => referrersAt(api, e, ref, digest, context));
      return found ?? [];
    },
    pushBlob: (text, descriptor, content, { insecure, mountFrom, onProgress, ...context }) =>
      onPush(text, insecure, (endpoint, ref) =>
        pushBlob(api, endpoint, ref, { descriptor, content, mountFrom, onProgress }, context),
      ),
    pushManifest: (text, descriptor, bytes, { insecure, ...context }) =>
      onPush(text, insecure, (endpoint, ref) => pushManifest(api, endpoint, ref, descriptor, bytes, context)),
    close: () => transport.close(),
  };
}
