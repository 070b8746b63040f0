import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { BuildError, Code } from '../base/index.ts';
import { digestOf, MediaType } from '../oci/index.ts';
import type { Descriptor } from '../oci/index.ts';
import { endpointsOf } from './endpoints.ts';
import { createRegistry } from './index.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, host: string) => void;

async function withServer(handle: Handler, work: (host: string) => Promise<void>): Promise<void> {
  const server: Server = createServer((request, response) => handle(request, response, host));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await work(host);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function withRegistry(
  handle: Handler,
  work: (registry: ReturnType<typeof createRegistry>, host: string) => Promise<void>,
): Promise<void> {
  await withServer(handle, async (host) => {
    const registry = createRegistry({ hosts: new Map(), idleTimeoutMs: 2000 });
    try {
      await work(registry, host);
    } finally {
      await registry.close();
    }
  });
}

const blob = Buffer.from('0123456789'.repeat(1000));
const layer: Descriptor = { mediaType: MediaType.ociLayer, digest: digestOf(blob), size: blob.length };

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

void test('a tag is resolved by HEAD, an unknown one is not found', async () => {
  const bytes = Buffer.from('{"schemaVersion":2}');
  await withRegistry(
    (request, response) => {
      if (request.url !== '/v2/app/manifests/v1') return void response.writeHead(404).end();
      const headers = {
        'content-type': MediaType.ociManifest,
        'docker-content-digest': digestOf(bytes),
        'content-length': bytes.length,
      };
      response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : bytes);
    },
    async (registry, host) => {
      const found = await registry.resolve(`${host}/app:v1`, {});
      assert.deepEqual(found.descriptor, {
        mediaType: MediaType.ociManifest,
        digest: digestOf(bytes),
        size: bytes.length,
      });
      assert.equal(found.ref, `${host}/app:v1@${digestOf(bytes)}`);
      await assert.rejects(
        registry.resolve(`${host}/app:v2`, {}),
        (e) => e instanceof BuildError && e.code === Code.NotFound && e.message === `${host}/app:v2: not found`,
      );
    },
  );
});

void test('a digest that the manifest does not have is refused', async () => {
  await withRegistry(
    (_, response) => void response.writeHead(200, { 'content-type': MediaType.ociManifest }).end('{}'),
    async (registry, host) => {
      await assert.rejects(registry.resolve(`${host}/app@${layer.digest}`, {}), /unexpected digest/);
    },
  );
});

void test('a token is fetched once and sent from then on', async () => {
  let tokens = 0;
  await withRegistry(
    (request, response, host) => {
      if (request.url?.startsWith('/token')) {
        tokens++;
        assert.match(request.url, /service=reg&scope=repository%3Aapp%3Apull/);
        return void response.end(JSON.stringify({ token: 'secret', expires_in: 300 }));
      }
      if (request.headers.authorization !== 'Bearer secret') {
        const challenge = `Bearer realm="http://${host}/token",service="reg",scope="repository:app:pull"`;
        return void response.writeHead(401, { 'www-authenticate': challenge }).end();
      }
      response.end(blob);
    },
    async (registry, host) => {
      for (let i = 0; i < 2; i++) assert.deepEqual(await collect(registry.fetch(`${host}/app:v1`, layer, {})), blob);
      assert.equal(tokens, 1);
      // Another scope of trust gets its own.
      await collect(registry.fetch(`${host}/app:v1`, layer, { auth: { id: 'other' } }));
      assert.equal(tokens, 2);
    },
  );
});

void test('wrong passwords are not tried for ever', async () => {
  let asked = 0;
  await withRegistry(
    (_, response) => void (asked++, response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()),
    async (registry, host) => {
      const auth = { id: 'a', credentials: async () => ({ username: 'u', secret: 'p' }) };
      await assert.rejects(
        registry.resolve(`${host}/app:v1`, { auth }),
        /pull access denied, repository does not exist or may require authorization/,
      );
      assert.ok(asked <= 4, `${asked}`);
    },
  );
});

void test('a broken download goes on where it stopped; too much is refused', async () => {
  const ranges: unknown[] = [];
  await withRegistry(
    (request, response) => {
      ranges.push(request.headers.range);
      if (request.url?.includes('/long/')) return void response.end(Buffer.concat([blob, blob]));
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      const headers = {
        'content-length': blob.length - start,
        'content-range': `bytes ${start}-${blob.length - 1}/${blob.length}`,
      };
      response.writeHead(start === 0 ? 200 : 206, headers);
      if (start > 0) return void response.end(blob.subarray(start));
      response.write(blob.subarray(0, 4000), () => setTimeout(() => response.destroy(), 20));
    },
    async (registry, host) => {
      assert.deepEqual(await collect(registry.fetch(`${host}/app:v1`, layer, {})), blob);
      assert.deepEqual(ranges, [undefined, 'bytes=4000-']);
      await assert.rejects(collect(registry.fetch(`${host}/long:v1`, layer, {})), /larger than/);
    },
  );
});

void test('an overloaded registry is asked again', async () => {
  let asked = 0;
  const lines: string[] = [];
  await withRegistry(
    (_, response) => void (++asked < 2 ? response.writeHead(503).end() : response.end(blob)),
    async (registry, host) => {
      assert.deepEqual(await collect(registry.fetch(`${host}/app:v1`, layer, { onLog: (l) => lines.push(l) })), blob);
      assert.match(lines[0], /unexpected status from GET request to .*: 503 Service Unavailable, retrying/);
    },
  );
});

void test('blobs are uploaded, mounted or left out; manifests put', async () => {
  const seen: string[] = [];
  const stored = new Map<string, Buffer>();
  await withRegistry(
    (request, response) => {
      seen.push(`${request.method} ${request.url}`);
      const parts: Buffer[] = [];
      request.on('data', (p: Buffer) => parts.push(p));
      request.on('end', () => {
        if (request.method === 'HEAD') response.writeHead(stored.has(request.url as string) ? 200 : 404).end();
        else if (request.method === 'POST' && request.url?.includes('mount=')) response.writeHead(201).end();
        else if (request.method === 'POST') response.writeHead(202, { location: '/upload/1?state=x' }).end();
        else {
          stored.set(
            new URL(request.url as string, 'http://x').searchParams.get('digest') ?? (request.url as string),
            Buffer.concat(parts),
          );
          response.writeHead(201).end();
        }
      });
    },
    async (registry, host) => {
      async function* content(): AsyncGenerator<Uint8Array> {
        yield blob;
      }
      await registry.pushBlob(`${host}/app:v1`, layer, async () => content(), {});
      assert.deepEqual(stored.get(layer.digest), blob);
      seen.length = 0;
      await registry.pushBlob(`${host}/app:v1`, layer, async () => content(), { mountFrom: `${host}/base:1` });
      assert.equal(seen[1], `POST /v2/app/blobs/uploads/?mount=${encodeURIComponent(layer.digest)}&from=base`);
      assert.equal(seen.length, 2);
      const manifest = Buffer.from('{}');
      await registry.pushManifest(
        `${host}/app:v1`,
        { mediaType: MediaType.ociManifest, digest: digestOf(manifest), size: 2 },
        manifest,
        {},
      );
      assert.deepEqual(stored.get('/v2/app/manifests/v1'), manifest);
    },
  );
});

void test('an upload that is refused before it starts opens no file', async () => {
  let opened = 0;
  const content = async (): Promise<AsyncIterable<Uint8Array>> => {
    opened++;
    return (async function* () {
      yield blob;
    })();
  };
  const push = (registry: ReturnType<typeof createRegistry>, host: string): Promise<void> =>
    registry.pushBlob(`${host}/app:v1`, layer, content, {});
  // Nobody may start one; the place to upload to is where nobody listens.
  for (const location of [undefined, 'http://127.0.0.1:1/upload']) {
    await withRegistry(
      (request, response) => {
        if (request.method === 'HEAD') response.writeHead(404).end();
        else if (location === undefined) response.writeHead(403).end();
        else response.writeHead(202, { location }).end();
      },
      (registry, host) => assert.rejects(push(registry, host)),
    );
  }
  const registry = createRegistry({ hosts: new Map(), idleTimeoutMs: 2000 });
  try {
    // As upstream says it: what is tried first at a local address is plain HTTP.
    await assert.rejects(
      push(registry, '127.0.0.1:1'),
      /^BuildError: failed to do request: Head "http:\/\/127\.0\.0\.1:1\/v2\/app\/blobs\/.*: connection refused/,
    );
  } finally {
    await registry.close();
  }
  assert.equal(opened, 0);
});

void test('a registry that is said to be insecure is asked by TLS first, and plainly where it does not speak that', async () => {
  await withServer(
    (request, response) => void response.writeHead(request.method === 'HEAD' ? 200 : 405).end(),
    async (host) => {
      const registry = createRegistry({ hosts: new Map(), idleTimeoutMs: 2000 });
      try {
        await registry.pushBlob(`${host}/app:v1`, layer, () => assert.fail('it is there'), { insecure: true });
      } finally {
        await registry.close();
      }
    },
  );
  const [first, second] = endpointsOf({ hosts: new Map() }, 'example.com', { push: true, insecure: true });
  assert.deepEqual(
    [first.origin, first.tls.insecure, second.origin],
    ['https://example.com', true, 'http://example.com'],
  );
});

void test('a silent registry is given up', async () => {
  await withServer(
    () => {},
    async (host) => {
      const registry = createRegistry({ hosts: new Map([[host, { http: true }]]), idleTimeoutMs: 50 });
      try {
        await assert.rejects(registry.resolve(`${host}/app:v1`, { signal: AbortSignal.timeout(400) }));
      } finally {
        await registry.close();
      }
    },
  );
});

void test('referrers come from the list of the registry, or from the tag that stands in for it', async () => {
  const index = (list: readonly object[]): string => JSON.stringify({ schemaVersion: 2, manifests: list });
  const own = { mediaType: MediaType.ociManifest, digest: layer.digest, size: 1, artifactType: 'a' };
  const tag = `/v2/tagged/manifests/${layer.digest.replace(':', '-')}`;
  await withRegistry(
    (request, response) => {
      const headers = { 'content-type': MediaType.ociIndex };
      if (request.url === `/v2/listed/referrers/${layer.digest}`) response.writeHead(200, headers).end(index([own]));
      else if (request.url === tag) response.writeHead(200, headers).end(index([own, own]));
      else response.writeHead(404).end();
    },
    async (registry, host) => {
      const count = async (name: string): Promise<number> =>
        (await registry.referrers(`${host}/${name}`, layer.digest, {})).length;
      assert.deepEqual([await count('listed'), await count('tagged'), await count('none')], [1, 2, 0]);
    },
  );
});

void test('a foreign layer comes from where it says it is, without credentials, else from the registry', async () => {
  const asked: string[] = [];
  const elsewhere: Handler = (request, response) => {
    asked.push(`${request.url} ${request.headers.authorization ?? 'nobody'}`);
    if (request.url === '/gone') return void response.writeHead(404).end();
    if (request.url === '/secret') return void response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    response.end(blob);
  };
  const registryHas: Handler = (request, response) => {
    asked.push(`registry ${request.headers.authorization ?? 'nobody'}`);
    if (request.headers.authorization === undefined) {
      return void response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    }
    response.end(blob);
  };
  const auth = { id: 'a', credentials: async () => ({ username: 'u', secret: 'p' }) };
  await withServer(elsewhere, async (place) => {
    await withRegistry(registryHas, async (registry, host) => {
      const at = (...urls: string[]): Promise<Buffer> =>
        collect(registry.fetch(`${host}/app:v1`, { ...layer, urls }, { auth }));
      assert.deepEqual(await at('ftp://x/y', 'no address', `http://${place}/gone`, `http://${place}/layer?a=b`), blob);
      assert.deepEqual(asked.splice(0), ['/gone nobody', '/layer?a=b nobody']);
      assert.deepEqual(await at(`http://${place}/gone`, `http://${place}/secret`), blob);
      const basic = `Basic ${Buffer.from('u:p').toString('base64')}`;
      assert.deepEqual(asked.splice(0), ['/gone nobody', '/secret nobody', 'registry nobody', `registry ${basic}`]);
      // What the registry was told is for the registry alone, also where the layer says that it is on the same host.
      assert.deepEqual(await at(`http://${host}/layer`), blob);
      assert.deepEqual(asked.splice(0), ['registry nobody', `registry ${basic}`]);
    });
    await withRegistry(
      (_, response) => void response.writeHead(404).end(),
      async (registry, host) => {
        const url = `http://${place}/gone`;
        await assert.rejects(collect(registry.fetch(`${host}/app:v1`, { ...layer, urls: [url] }, {})), {
          code: Code.NotFound,
          message: `${host}/app:v1: content ${layer.digest} not found, and not at ${url}: not found`,
        });
      },
    );
  });
});
