/** Certificates of a test's own authority, made with openssl. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from './process.ts';

/** Paths of two PEM files. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export class Authority {
  readonly #folder: string;
  /** Path of the PEM file that others trust. */
  readonly cert: string;
  readonly #key: string;

  private constructor(folder: string, name: string) {
    this.#folder = folder;
    this.cert = join(folder, `${name}.pem`);
    this.#key = join(folder, `${name}.key`);
  }

  static async make(folder: string, name: string): Promise<Authority> {
    const authority = new Authority(folder, name);
    const made = ['-x509', '-days', '2', '-keyout', authority.#key, '-out', authority.cert];
    await mustRun('openssl', ['req', ...EC, ...made, '-subj', `/CN=${name}`]);
    return authority;
  }

  /** A key pair whose certificate names these (`DNS:…`, `IP:…`). */
  async issue(name: string, ...subjects: string[]): Promise<KeyPair> {
    const [key, request, cert] = ['key', 'csr', 'crt'].map((end) => join(this.#folder, `${name}.${end}`));
    await mustRun('openssl', ['req', ...EC, '-keyout', key, '-out', request, '-subj', `/CN=${name}`]);
    const extensions = join(this.#folder, `${name}.ext`);
    writeFileSync(extensions, subjects.length > 0 ? `subjectAltName=${subjects.join(',')}\n` : '');
    const signed = ['-CA', this.cert, '-CAkey', this.#key, '-CAcreateserial', '-days', '2', '-extfile', extensions];
    await mustRun('openssl', ['x509', '-req', '-in', request, '-out', cert, ...signed]);
    return { cert, key };
  }
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
