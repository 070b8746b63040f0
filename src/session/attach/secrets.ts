import { readFile, stat } from 'node:fs/promises';
import { BuildError, Code, notFound } from '../../base/index.ts';
import { SecretsDefinition } from '../../proto/secrets.pb.ts';
import type { Attachable } from './session.ts';

const MAX_SECRET = 500 << 10;

/** A file is read at each use, a variable too: one that is unset by then is empty. */
export type SecretSource = { readonly file: string } | { readonly env: string } | { readonly value: Uint8Array };

async function load(source: SecretSource): Promise<Uint8Array> {
  if ('value' in source) return source.value;
  if ('env' in source) return Buffer.from(process.env[source.env] ?? '');
  return readFile(source.file);
}

/** Throws for files that are missing or too large, before any build starts. */
export async function provideSecrets(secrets: ReadonlyMap<string, SecretSource>): Promise<Attachable> {
  for (const [id, source] of secrets) {
    if ('file' in source && (await stat(source.file)).size > MAX_SECRET) {
      throw new BuildError(Code.InvalidArgument, `secret ${id} too big. max size ${MAX_SECRET}B`);
    }
  }
  return {
    register: (server) =>
      server.add(SecretsDefinition, {
        getSecret: async ({ ID }) => {
          const source = secrets.get(ID);
          if (source === undefined) throw notFound('not found');
          const data = await load(source).catch((error: NodeJS.ErrnoException) => {
            throw error.code === 'ENOENT' ? notFound('not found') : error;
          });
          if (data.length > MAX_SECRET) throw new BuildError(Code.Unknown, `invalid secret size ${data.length}`);
          return { data };
        },
      }),
  };
}
