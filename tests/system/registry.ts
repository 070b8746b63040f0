/** Debian's docker-registry on a loopback port of its own, its data below a test's folder. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyPair } from './certificates.ts';
import { Running } from './process.ts';

export interface RegistryOptions {
  /** Lines of an htpasswd file: nobody else gets in. */
  readonly htpasswd?: string;
  readonly tls?: KeyPair;
}

export class Registry {
  readonly host: string;
  readonly #running: Running;

  private constructor(host: string, running: Running) {
    this.host = host;
    this.#running = running;
  }

  static async start(folder: string, options: RegistryOptions = {}): Promise<Registry> {
    mkdirSync(folder, { recursive: true });
    const config = join(folder, 'registry.yml');
    const http: Record<string, unknown> = { addr: '127.0.0.1:0' };
    if (options.tls !== undefined) http.tls = { certificate: options.tls.cert, key: options.tls.key };
    const settings: Record<string, unknown> = {
      version: 0.1,
      log: { level: 'info' },
      storage: { filesystem: { rootdirectory: join(folder, 'registry') } },
      http,
      // Foreign layers are taken when they say that they are on this machine.
      validation: { manifests: { urls: { allow: ['^http://127\\.0\\.0\\.1:'] } } },
    };
    if (options.htpasswd !== undefined) {
      writeFileSync(join(folder, 'htpasswd'), options.htpasswd);
      settings.auth = { htpasswd: { realm: 'tests', path: join(folder, 'htpasswd') } };
    }
    // What is JSON is YAML.
    writeFileSync(config, JSON.stringify(settings));
    const running = new Running('docker-registry', ['serve', config], { timeoutMs: 280_000 });
    try {
      await running.says('listening on 127.0.0.1:', 15_000);
    } catch (error) {
      running.signal('SIGKILL');
      throw error;
    }
    const [, port] = /listening on 127\.0\.0\.1:(\d+)/.exec(running.stdout + running.stderr) ?? [];
    return new Registry(`127.0.0.1:${port}`, running);
  }

  /** A manifest as the registry has it, by tag or digest. */
  async manifest(repository: string, reference: string): Promise<{ digest: string; body: any }> {
    const accept = [
      'application/vnd.oci.image.index.v1+json',
      'application/vnd.oci.image.manifest.v1+json',
      'application/vnd.docker.distribution.manifest.list.v2+json',
      'application/vnd.docker.distribution.manifest.v2+json',
    ].join(', ');
    const answer = await fetch(`http://${this.host}/v2/${repository}/manifests/${reference}`, { headers: { accept } });
    if (!answer.ok) throw new Error(`${reference} of ${repository}: ${answer.status} ${await answer.text()}`);
    return { digest: answer.headers.get('docker-content-digest') ?? '', body: await answer.json() };
  }

  async blob(repository: string, digest: string): Promise<Buffer> {
    const answer = await fetch(`http://${this.host}/v2/${repository}/blobs/${digest}`);
    if (!answer.ok) throw new Error(`${digest} of ${repository}: ${answer.status} ${await answer.text()}`);
    return Buffer.from(await answer.arrayBuffer());
  }

  async hasBlob(repository: string, digest: string): Promise<boolean> {
    const { status } = await fetch(`http://${this.host}/v2/${repository}/blobs/${digest}`, { method: 'HEAD' });
    return status === 200;
  }

  async putBlob(repository: string, bytes: Buffer): Promise<void> {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const started = await fetch(`http://${this.host}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
    const url = new URL(started.headers.get('location') ?? '', `http://${this.host}`);
    url.searchParams.set('digest', digest);
    const answer = await fetch(url, { method: 'PUT', body: new Uint8Array(bytes) });
    if (answer.status !== 201) throw new Error(`${digest} to ${repository}: ${answer.status} ${await answer.text()}`);
  }

  async putManifest(repository: string, reference: string, mediaType: string, bytes: Buffer): Promise<void> {
    const url = `http://${this.host}/v2/${repository}/manifests/${reference}`;
    const headers = { 'content-type': mediaType };
    const answer = await fetch(url, { method: 'PUT', headers, body: new Uint8Array(bytes) });
    if (answer.status !== 201)
      throw new Error(`${reference} to ${repository}: ${answer.status} ${await answer.text()}`);
  }

  async stop(): Promise<void> {
    this.#running.signal('SIGTERM');
    await this.#running.ended;
  }
}
