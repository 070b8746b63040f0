import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { noProgress, notFound } from '../../base/index.ts';
import { Transport } from '../../http/index.ts';
import type { SessionManager } from '../../session/types.ts';
import type { JobContext } from '../../solver/types.ts';
import type { CacheAccessor, ImmutableRef, MutableRef } from '../../storage/types.ts';
import { createHttpSource, resolveHttpMeta } from './index.ts';

interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** Answers If-None-Match as it should. */
  conditional?: boolean;
}

interface Asked {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

interface FakeRecord {
  readonly dir: string;
  readonly notes: Map<string, string>;
  readonly indexes: Set<string>;
  refs: number;
  retain: boolean;
  description: string;
}

/** Records that stay when nobody holds them; a refused or failed one goes. */
class FakeStorage {
  readonly records = new Map<string, FakeRecord>();
  readonly #top: string;

  constructor(top: string) {
    this.#top = top;
  }

  #metadata(id: string): ImmutableRef['metadata'] {
    const record = this.records.get(id) as FakeRecord;
    return {
      id,
      createdAt: BigInt(id.slice(1)),
      get: (key: string) => record.notes.get(key),
      set: async (key: string, value: string, index?: string) => {
        record.notes.set(key, value);
        if (index !== undefined) record.indexes.add(index);
      },
      setRetain: async (retain: boolean) => void (record.retain = retain),
    } as unknown as ImmutableRef['metadata'];
  }

  #ref(id: string): ImmutableRef & MutableRef {
    const record = this.records.get(id);
    if (record === undefined) throw notFound(id);
    record.refs++;
    const release = async (): Promise<void> => {
      if (--record.refs === 0 && !record.retain) this.records.delete(id);
    };
    const mounts = [{ type: 'bind', source: record.dir, options: [] }];
    return {
      id,
      metadata: this.#metadata(id),
      mounts: async () => ({ mounts, release: async () => {} }),
      fork: () => this.#ref(id),
      commit: async () => this.#ref(id),
      release,
    } as unknown as ImmutableRef & MutableRef;
  }

  readonly accessor = {
    create: async (_: unknown, { description }: { description: string }) => {
      const id = `r${this.records.size + 1}`;
      const dir = mkdtempSync(join(this.#top, 'record-'));
      this.records.set(id, { dir, notes: new Map(), indexes: new Set(), refs: 0, retain: false, description });
      const ref = this.#ref(id);
      return { ...ref, commit: async () => ref } as unknown as MutableRef;
    },
    get: async (id: string) => this.#ref(id),
    search: async (index: string) =>
      [...this.records].filter(([, r]) => r.indexes.has(index)).map(([id]) => this.#metadata(id)),
  } as unknown as CacheAccessor;
}

async function setUp(t: TestContext, secrets: Record<string, string> = {}) {
  const top = mkdtempSync(join(tmpdir(), 'http-source-'));
  t.after(() => rmSync(top, { recursive: true, force: true }));
  const answers = new Map<string, Answer>();
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    asked.push({ method: request.method ?? '', headers: request.headers });
    const { status = 200, headers = {}, body = '', conditional } = answers.get(request.url ?? '') ?? { status: 404 };
    const match = conditional === true && request.headers['if-none-match']?.split(', ').includes(headers.etag);
    response.writeHead(match === true ? 304 : status, headers);
    response.end(match === true || request.method === 'HEAD' ? undefined : body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const http = new Transport({ idleTimeoutMs: 5000, env: {} });
  t.after(async () => {
    await http.close();
    server.closeAllConnections();
    server.close();
  });
  const storage = new FakeStorage(top);
  const caller = {
    channel: {
      unary: async (_: unknown, method: { name: string }, { ID }: { ID: string }) => {
        if (method.name === 'GetSecret' && ID in secrets) return { data: Buffer.from(secrets[ID]) };
        throw notFound(`secret ${ID}`);
      },
    },
  };
  const sessions = {
    any: async (_: unknown, __: unknown, call: (c: unknown) => Promise<unknown>) => call(caller),
  } as unknown as SessionManager;
  const deps = { sessions, accessor: storage.accessor, http };
  const source = createHttpSource(deps);
  const ref = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const open = (path: string, attrs: Record<string, string> = {}) =>
    source.resolve({
      scheme: 'http',
      ref: ref + path,
      attrs: new Map(Object.entries(attrs)),
      platform: { os: 'linux', architecture: 'amd64' },
    });
  return { answers, asked, storage, deps, open, host: ref };
}

/** A build: what is found out in it is found out once, and held until it ends. */
function build(): { context: JobContext; end(): Promise<void> } {
  const values = new Map<string, Promise<unknown>>();
  const held: (() => Promise<void>)[] = [];
  const context = {
    signal: new AbortController().signal,
    progress: noProgress,
    sessions: () => ['s1'],
    once: (key: string, work: () => Promise<unknown>) => {
      if (!values.has(key)) values.set(key, work());
      return values.get(key);
    },
    defer: (release: () => Promise<void>) => void held.push(release),
  } as unknown as JobContext;
  return { context, end: async () => void (await Promise.all(held.map((release) => release()))) };
}

type World = Awaited<ReturnType<typeof setUp>>;

/** Key and content of one build of it. */
async function fetchOnce(world: World, path: string, attrs: Record<string, string> = {}) {
  const { context, end } = build();
  const instance = world.open(path, attrs);
  const { key, pin } = await instance.cacheKey(context, 0);
  const ref = (await instance.snapshot(context)) as ImmutableRef;
  const record = world.storage.records.get(ref.id) as FakeRecord;
  const [name] = readdirSync(record.dir);
  const file = join(record.dir, name);
  await ref.release();
  await end();
  assert.deepEqual(
    [...world.storage.records.values()].map((r) => r.refs),
    [...world.storage.records.values()].map(() => 0),
  );
  return { key, pin, name, text: readFileSync(file, 'utf8'), stat: statSync(file), description: record.description };
}

const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const methods = (world: World): string[] => world.asked.splice(0).map((a) => a.method);

void test('a file is fetched, kept, and asked about by its ETag', async (t) => {
  const world = await setUp(t);
  world.answers.set('/foo', { headers: { etag: '"one"' }, body: 'content1', conditional: true });
  const first = await fetchOnce(world, '/foo');
  // The text whose digest it is comes from upstream's own tests of its source (source/http/source_test.go).
  const plain = `{"Filename":"foo","Perm":0,"UID":0,"GID":0,"Checksum":"${sha256('content1')}"}`;
  assert.equal(first.key, sha256(plain));
  assert.equal(first.pin, sha256('content1'));
  assert.deepEqual([first.name, first.text, first.stat.mode & 0o777], ['foo', 'content1', 0o600]);
  assert.deepEqual([first.stat.mtimeMs, first.description], [0, `http url http://${world.host}/foo`]);
  assert.equal(world.asked[0]?.headers['accept-encoding'], 'gzip');
  assert.match(world.asked[0]?.headers['user-agent'] ?? '', /^buildkit\/v/);
  assert.deepEqual(methods(world), ['GET']);
  const again = await fetchOnce(world, '/foo');
  assert.equal(again.key, first.key);
  assert.equal(world.asked[0]?.headers['if-none-match'], '"one"');
  assert.deepEqual(methods(world), ['HEAD']);
  world.answers.set('/foo', { headers: { etag: 'W/"two"' }, body: 'content2', conditional: true });
  assert.equal((await fetchOnce(world, '/foo')).text, 'content2');
  assert.deepEqual(methods(world), ['HEAD', 'GET']);
  // A weak one is as good, for the bytes of this URL were seen under it.
  assert.equal((await fetchOnce(world, '/foo')).text, 'content2');
  assert.equal(world.asked[0]?.headers['if-none-match'], '"two", "one"');
  assert.deepEqual(methods(world), ['HEAD']);
  assert.equal(world.storage.records.size, 2);
});

void test('servers that do not do what they should', async (t) => {
  const world = await setUp(t);
  world.answers.set('/foo', { headers: { etag: '"one"' }, body: 'content1' });
  await fetchOnce(world, '/foo');
  methods(world);
  // 304 without saying which.
  world.answers.set('/foo', { status: 304 });
  assert.equal((await fetchOnce(world, '/foo')).text, 'content1');
  assert.deepEqual(methods(world), ['HEAD']);
  // 304 of something that was never asked about.
  world.answers.set('/foo', { status: 304, headers: { etag: '"other"' } });
  await assert.rejects(fetchOnce(world, '/foo'), /invalid not-modified ETag: "other"/);
  // The file's name is left out where nothing has changed.
  const named = { etag: '"n"', 'content-disposition': 'attachment; filename="real name"' };
  world.answers.set('/named', { headers: named, body: 'x' });
  const first = await fetchOnce(world, '/named');
  world.answers.set('/named', { headers: { etag: '"n"' } });
  const second = await fetchOnce(world, '/named');
  assert.deepEqual([second.name, second.key], ['real name', first.key]);
  for (const status of [206, 302, 404, 500]) {
    world.answers.set('/bad', { status, body: 'oops' });
    await assert.rejects(fetchOnce(world, '/bad'), { message: `invalid response status ${status}` });
  }
  assert.equal(world.storage.records.size, 2);
});

void test('what is sent compressed is kept as it is meant', async (t) => {
  const world = await setUp(t);
  world.answers.set('/foo', { headers: { 'content-encoding': 'GZIP' }, body: gzipSync('content1') });
  assert.equal((await fetchOnce(world, '/foo')).text, 'content1');
  const before = world.storage.records.size;
  world.answers.set('/cut', { headers: { 'content-encoding': 'gzip' }, body: gzipSync('content1').subarray(0, 20) });
  await assert.rejects(fetchOnce(world, '/cut'), /unexpected EOF/);
  world.answers.set('/not', { headers: { 'content-encoding': 'gzip' }, body: 'plain text' });
  await assert.rejects(fetchOnce(world, '/not'), /gzip: invalid header/);
  assert.equal(world.storage.records.size, before);
});

void test('attributes', async (t) => {
  const world = await setUp(t);
  const at = 'Sun, 06 Nov 1994 08:49:37 GMT';
  world.answers.set('/dir/foo', { headers: { 'last-modified': 'Sunday, 06-Nov-94 08:49:37 UTC' }, body: 'x' });
  const attrs = { 'http.filename': '../a/bar ', 'http.perm': '0741', 'http.header.accept': 'a/b' };
  const { name, stat, key } = await fetchOnce(world, '/dir/foo', { ...attrs, 'http.header.Cookie': 'no' });
  assert.deepEqual([name, stat.mode & 0o777, stat.mtimeMs], ['bar', 0o741, Date.parse(at)]);
  const json = `{"Filename":"bar","Perm":481,"UID":0,"GID":0,"Checksum":"${sha256('x')}","LastModTime":"${at}","Header":[{"Name":"Accept","Value":"a/b"}]}`;
  assert.equal(key, sha256(json));
  assert.equal(world.asked[0]?.headers.accept, 'a/b');
  assert.equal(world.asked[0]?.headers.cookie, undefined);
  const bad: [Record<string, string>, RegExp][] = [
    [{ 'http.perm': '0o9' }, /strconv\.ParseInt: parsing "0o9": invalid syntax$/],
    [{ 'http.perm': '04755' }, /invalid value for http\.perm: 04755 is out of range/],
    [{ 'http.uid': '-1' }, /out of range/],
    [{ 'http.gid': '99999999999999999999' }, /value out of range/],
    [{ 'http.checksum': 'md5:abc' }, /unsupported digest algorithm/],
    [{ 'http.checksum': 'abc' }, /invalid checksum digest format/],
    [{ 'http.sig.pubkey': 'x' }, /http signature verification requires both pubkey and signature/],
  ];
  for (const [wrong, message] of bad) assert.throws(() => world.open('/foo', wrong), message);
  const platform = { os: 'linux', architecture: 'amd64' };
  const parse = (ref: string) =>
    createHttpSource(world.deps).resolve({ scheme: 'http', ref, attrs: new Map(), platform });
  assert.throws(() => parse('/file'), /Get "http:\/\/\/file": http: no Host in request URL/);
  assert.throws(() => parse('a.example\\@b.example/'), /invalid character in host name/);
  assert.throws(() => parse('a.example/x\ny'), /invalid control character in URL/);
  assert.throws(() => parse('a.example/%zz'), /invalid URL escape "%zz"/);
  assert.throws(() => parse('a:b:c/'), /invalid URL/);
  await assert.rejects(
    fetchOnce(world, '/dir/foo', { 'http.header.accept': 'a\nb: c' }),
    /net\/http: invalid header field value for "Accept"/,
  );
});

void test('names', async (t) => {
  const world = await setUp(t);
  const cases: [string, string | undefined, string][] = [
    ['/', undefined, 'download'],
    ['/a/b%20c?x#y', undefined, 'b c'],
    ['/a/', undefined, 'a'],
    ['/foo', 'attachment; filename="../../x"', 'x'],
    ['/foo', 'attachment; filename="dir/"', 'foo'],
    ['/foo', 'attachment; filename=".."', 'download'],
    ['/%0a', undefined, 'download'],
    ['/%2e%2e%2fetc', undefined, 'etc'],
  ];
  for (const [path, disposition, name] of cases) {
    const headers: Record<string, string> = disposition === undefined ? {} : { 'content-disposition': disposition };
    for (const known of [path, path.replace(/#.*/, '')]) world.answers.set(known, { headers, body: 'x' });
    assert.equal((await fetchOnce(world, path)).name, name, `${path} ${disposition}`);
  }
});

void test('a checksum is known before, and must be that of the file', async (t) => {
  const world = await setUp(t);
  world.answers.set('/foo', { body: 'content' });
  const right = { 'http.checksum': sha256('content') };
  const { context } = build();
  const { key, pin } = await world.open('/foo', right).cacheKey(context, 0);
  assert.equal(key, sha256(`{"Filename":"foo","Perm":0,"UID":0,"GID":0,"Checksum":"${pin}"}`));
  assert.deepEqual([pin, world.asked.length], [sha256('content'), 0]);
  assert.equal((await fetchOnce(world, '/foo', right)).text, 'content');
  const sha512 = `sha512:${createHash('sha512').update('content').digest('hex')}`;
  assert.equal((await fetchOnce(world, '/foo', { 'http.checksum': sha512 })).pin, sha512);
  const materials = [{ kind: 'http', url: `http://${world.host}/foo`, digest: sha512 }];
  assert.deepEqual(world.open('/foo').facts(sha512), { materials });
  const wrong = sha256('other');
  await assert.rejects(fetchOnce(world, '/foo', { 'http.checksum': wrong }), {
    message: `digest mismatch ${sha256('content')}: ${wrong}`,
  });
  // Somebody else in the build had fetched it.
  const shared = build();
  await world.open('/foo').cacheKey(shared.context, 0);
  await assert.rejects(
    world.open('/foo', { 'http.checksum': wrong }).snapshot(shared.context),
    /digest mismatch for http:.*\/foo: .* \(expected: sha256:/,
  );
  world.answers.set('/gone', { status: 401 });
  await assert.rejects(fetchOnce(world, '/gone', { 'http.checksum': sha256('') }), /invalid response status 401/);
});

void test('frontends are told the same, and digests with bytes after the file', async (t) => {
  const world = await setUp(t);
  const headers = { 'last-modified': 'Sun, 06 Nov 1994 08:49:37 GMT' };
  world.answers.set('/foo', { headers, body: 'content' });
  const { context } = build();
  const request = { scheme: 'http', ref: `${world.host}/foo`, attrs: new Map<string, string>() };
  const meta = await resolveHttpMeta(world.deps, request, undefined, context);
  assert.deepEqual(meta, {
    checksum: sha256('content'),
    filename: 'foo',
    lastModified: BigInt(Date.parse(headers['last-modified'])) * 1_000_000n,
  });
  world.answers.set('/foo', { body: 'other' });
  const suffix = Buffer.from('-suffix');
  const more = await resolveHttpMeta(world.deps, request, { algorithm: 'sha384', suffix }, context);
  const digest = `sha384:${createHash('sha384').update('content-suffix').digest('hex')}`;
  assert.deepEqual(more.checksumResponse, { digest, suffix });
  assert.equal(world.asked.length, 1);
  await assert.rejects(
    resolveHttpMeta(world.deps, request, { algorithm: 'sha256', suffix: Buffer.alloc(4097) }, context),
    /http checksum request suffix exceeds max size 4096/,
  );
});

void test('secrets say who asks', async (t) => {
  const ask = async (secrets: Record<string, string>, attrs: Record<string, string> = {}) => {
    const world = await setUp(t, secrets);
    world.answers.set('/foo', { body: 'x' });
    await fetchOnce(world, '/foo', attrs);
    return world.asked[0]?.headers.authorization;
  };
  assert.equal(await ask({}), undefined);
  assert.equal(await ask({ 'HTTP_AUTH_TOKEN_127.0.0.1': '123' }), 'Bearer 123');
  assert.equal(await ask({ 'HTTP_AUTH_HEADER_127.0.0.1': 'Basic 123' }), 'Basic 123');
  assert.equal(await ask({ 'HTTP_AUTH_TOKEN_other.example': '123' }), undefined);
  const named = { 'http.authheadersecret': 'mine' };
  assert.equal(await ask({ mine: 'Basic 1', 'HTTP_AUTH_TOKEN_127.0.0.1': '2' }, named), 'Basic 1');
  await assert.rejects(ask({}, named), /failed to retrieve HTTP auth secret mine: .*not found/);
  await assert.rejects(ask({ mine: 'x\n' }, named), /invalid header field value for "Authorization"/);
});

void test('a signature is held against the file before anybody sees it', async (t) => {
  const world = await setUp(t);
  const golden = JSON.parse(readFileSync(join(import.meta.dirname, '../../openpgp/golden.json'), 'utf8')) as {
    readonly data: string;
    readonly keys: Readonly<Record<string, string>>;
    readonly signatures: Readonly<Record<string, string>>;
  };
  world.answers.set('/foo', { body: golden.data });
  const attrs = { 'http.sig.pubkey': golden.keys.rsa, 'http.sig.signature': golden.signatures.rsa };
  assert.equal((await fetchOnce(world, '/foo', attrs)).text, golden.data);
  const pinned = { ...attrs, 'http.checksum': sha256(golden.data) };
  assert.equal((await fetchOnce(world, '/foo', pinned)).text, golden.data);
  await assert.rejects(
    fetchOnce(world, '/foo', { ...attrs, 'http.sig.pubkey': golden.keys.other }),
    /failed to verify pgp signature: signature by [0-9A-F]{16}: openpgp: signature made by unknown entity/,
  );
  world.answers.set('/foo', { body: `${golden.data} and more` });
  await assert.rejects(fetchOnce(world, '/foo', attrs), /invalid signature: RSA verification failure/);
});
