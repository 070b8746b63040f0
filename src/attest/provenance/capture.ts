/** What is known of how a result was made: collected step by step, then told by a predicate. */
import { parseReference, referenceName } from '../../oci/index.ts';
import type { Platform } from '../../oci/types.ts';
import type {
  BlobMaterial,
  Credential,
  GitMaterial,
  HttpMaterial,
  ImageMaterial,
  LocalMaterial,
  Material,
  Sources,
  StepFacts,
  UncapturedRequest,
} from './materials.ts';
import { redactCredentials } from './redact-url.ts';
import type { RequestFacts } from './request.ts';

/** The request to the frontend that made the result. */
export interface CapturedRequest {
  readonly frontend: string;
  readonly args: ReadonlyMap<string, string>;
  readonly inputs?: ReadonlyMap<string, RequestFacts>;
  readonly root?: RequestFacts;
}

/** Images of one index are not told apart by their features. */
function samePlatformOfIndex(a: Platform | undefined, b: Platform | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.architecture === b.architecture &&
    a.os === b.os &&
    (a.osVersion ?? '') === (b.osVersion ?? '') &&
    (a.variant ?? '') === (b.variant ?? '')
  );
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export class Capture implements Sources {
  readonly images: ImageMaterial[] = [];
  readonly blobs: BlobMaterial[] = [];
  readonly git: GitMaterial[] = [];
  readonly http: HttpMaterial[] = [];
  readonly local: LocalMaterial[] = [];
  readonly secrets = new Map<string, Credential>();
  readonly ssh = new Map<string, Credential>();
  readonly usage = new Map<string, unknown>();
  network = false;
  /** A step was behind a proxy. */
  proxied = false;
  readonly uncaptured: UncapturedRequest[] = [];
  incomplete = false;
  request: CapturedRequest | undefined;

  /** Everything but the request. */
  clone(): Capture {
    const copy = new Capture();
    copy.merge(this);
    copy.request = this.request;
    return copy;
  }

  add(facts: StepFacts): void {
    for (const material of facts.materials ?? []) this.addMaterial(material);
    for (const secret of facts.secrets ?? []) addCredential(this.secrets, secret);
    for (const agent of facts.ssh ?? []) addCredential(this.ssh, agent.id === '' ? { ...agent, id: 'default' } : agent);
    for (const [vertex, usage] of facts.usage ?? []) this.usage.set(vertex, usage);
    this.network ||= facts.network ?? false;
    this.incomplete ||= facts.incomplete ?? false;
    if (facts.proxy !== undefined) this.#addProxied(facts.proxy.uncaptured);
  }

  #addProxied(uncaptured: readonly UncapturedRequest[]): void {
    this.proxied = true;
    this.incomplete ||= uncaptured.length > 0;
    this.uncaptured.push(...uncaptured);
  }

  /** Of what is there already the first stays. */
  addMaterial(material: Material): void {
    switch (material.kind) {
      case 'image': {
        const { ref, local, platform } = material;
        const known = this.images.some(
          (i) => i.ref === ref && i.local === local && samePlatformOfIndex(i.platform, platform),
        );
        if (!known) this.images.push(material);
        break;
      }
      case 'image-blob':
        if (!this.blobs.some((b) => b.ref === material.ref && b.local === material.local)) this.blobs.push(material);
        break;
      case 'git': {
        const masked = { ...material, url: redactCredentials(material.url) };
        if (!this.git.some((g) => g.url === masked.url && g.bundle === masked.bundle)) this.git.push(masked);
        break;
      }
      case 'http': {
        const masked = { ...material, url: redactCredentials(material.url) };
        if (!this.http.some((h) => h.url === masked.url)) this.http.push(masked);
        break;
      }
      case 'local':
        if (!this.local.some((l) => l.name === material.name)) this.local.push(material);
        break;
    }
  }

  merge(other: Capture): void {
    this.add({
      materials: [...other.images, ...other.blobs, ...other.local, ...other.git, ...other.http],
      secrets: [...other.secrets.values()],
      ssh: [...other.ssh.values()],
      network: other.network,
      incomplete: other.incomplete,
      usage: other.usage,
      ...(other.proxied ? { proxy: { uncaptured: other.uncaptured } } : {}),
    });
  }

  /** Leaves out images by digest of which the same name is there with a tag, and puts everything in order. */
  tidy(): void {
    const nameOf = (ref: string): { name: string; pinned: boolean } => {
      const { tag = 'latest', digest, ...rest } = parseReference(ref);
      return { name: `${referenceName(rest)}:${tag}`, pinned: digest !== undefined };
    };
    const named = new Set(this.images.map((i) => nameOf(i.ref)).flatMap((n) => (n.pinned ? [] : [n.name])));
    const kept = this.images.filter(({ ref }) => {
      const { name, pinned } = nameOf(ref);
      return !pinned || !named.has(name);
    });
    this.images.splice(0, this.images.length, ...kept);
    this.images.sort((a, b) => byText(a.ref, b.ref));
    this.blobs.sort((a, b) => byText(a.ref, b.ref));
    this.local.sort((a, b) => byText(a.name, b.name));
    this.git.sort((a, b) => byText(a.url, b.url));
    this.http.sort((a, b) => byText(a.url, b.url));
    this.uncaptured.sort(
      (a, b) => byText(a.op, b.op) || byText(a.uri, b.uri) || byText(a.method, b.method) || byText(a.reason, b.reason),
    );
  }
}

/** Needed by one is needed by all. */
function addCredential(known: Map<string, Credential>, { id, optional }: Credential): void {
  known.set(id, { id, optional: optional && (known.get(id)?.optional ?? true) });
}

export function sortedCredentials(credentials: ReadonlyMap<string, Credential>): Credential[] {
  return [...credentials.values()].sort((a, b) => byText(a.id, b.id));
}
