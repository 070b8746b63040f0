/**
 * Namespaces on the disk: one folder each, of the mounted namespace and of what it is attached to. That is written before
 * any plugin is called, so that a successor can clear whatever a kill has interrupted.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { internal, logger, randomId, wrapError } from '../../base/index.ts';
import { makeNetworkNamespace, mountPoints, unmount } from '../../host/index.ts';
import { attach, detach } from './cni-attachment.ts';
import type { Attachment } from './cni-attachment.ts';
import type { CniNetwork } from './cni-config.ts';

export interface Namespace {
  readonly id: string;
  readonly path: string;
}

const ID = /^[a-z0-9]{1,64}$/;
const HOSTNAME = /^[A-Za-z0-9_.-]{1,253}$/;
const ATTACHMENT = 'attachment.json';

function isAttachment(value: unknown): value is Attachment {
  if (typeof value !== 'object' || value === null) return false;
  const { id, args, folders, networks, results } = value as Partial<Attachment>;
  return (
    typeof id === 'string' &&
    typeof args === 'string' &&
    Array.isArray(folders) &&
    Array.isArray(networks) &&
    networks.every((n) => Array.isArray(n.plugins) && typeof n.version === 'string') &&
    typeof results === 'object'
  );
}

/** The key is Kubernetes', which plugins that make names know; others are to leave it alone. */
function argumentsFor(hostname: string): string {
  // What could not be a name in the DNS is told to nobody: it might end the argument, or a line of a plugin's file.
  return HOSTNAME.test(hostname) ? `K8S_POD_NAME=${hostname};IgnoreUnknown=1` : '';
}

export class NamespaceFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  #pathOf(id: string): string {
    return join(this.#folder, id, 'ns');
  }

  #write(attachment: Attachment): void {
    const path = join(this.#folder, attachment.id, ATTACHMENT);
    writeFileSync(`${path}.new`, JSON.stringify(attachment), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  #read(id: string): Attachment | undefined {
    const path = join(this.#folder, id, ATTACHMENT);
    if (!existsSync(path)) return undefined;
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (!isAttachment(value)) throw internal(`${path} is damaged`);
    return value;
  }

  /** A new namespace, attached to the networks. `hostname` '' is none. */
  async make(networks: readonly CniNetwork[], folders: readonly string[], hostname: string): Promise<Namespace> {
    const id = randomId();
    const path = this.#pathOf(id);
    const args = argumentsFor(hostname);
    mkdirSync(join(this.#folder, id), { recursive: true, mode: 0o700 });
    try {
      makeNetworkNamespace(path);
      const wanted = { id, args, folders, networks };
      this.#write({ ...wanted, results: {} });
      await attach(wanted, path, (done) => this.#write(done));
    } catch (error) {
      await this.remove(id).catch((late: unknown) =>
        logger.warn('network namespace was not cleared', { id, error: late }),
      );
      throw wrapError(error, 'CNI setup error');
    }
    return { id, path };
  }

  /** Detaches and removes it. Where a plugin fails the namespace goes all the same, and what failed is thrown then. */
  async remove(id: string): Promise<void> {
    const path = this.#pathOf(id);
    try {
      const attachment = this.#read(id);
      // After a start of the machine it is a plain file, which is no namespace.
      const isThere = mountPoints(path).length > 0;
      if (attachment !== undefined) await detach(attachment, isThere ? path : '');
    } finally {
      unmount(path);
      rmSync(join(this.#folder, id), { recursive: true, force: true });
    }
  }

  /** Those that a killed predecessor left. */
  leftovers(): string[] {
    return existsSync(this.#folder) ? readdirSync(this.#folder).filter((name) => ID.test(name)) : [];
  }
}
