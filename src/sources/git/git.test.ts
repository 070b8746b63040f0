import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { BuildError, Code, noProgress, notFound } from '../../base/index.ts';
import type { ContentStore } from '../../content/types.ts';
import { digestOf } from '../../oci/index.ts';
import type { Registry } from '../../registry/types.ts';
import type { SessionCaller, SessionManager } from '../../session/types.ts';
import type { JobContext } from '../../solver/types.ts';
import { offerMounts } from '../../storage/local-mount.ts';
import type { CacheAccessor, ImmutableRef, MutableRef } from '../../storage/types.ts';
import { headerScope, secretNames } from './access.ts';
import { parseGit } from './attrs.ts';
import { gitCacheKey } from './cache-key.ts';
import { parseGitObject } from './git-object.ts';
import { createGitSource } from './index.ts';
import { Redaction, urlSecrets } from './redaction.ts';
import { chooseRef } from './resolve-ref.ts';

const top = mkdtempSync(join(tmpdir(), 'git-source-'));
after(() => rmSync(top, { recursive: true, force: true }));

const sha = (c: string): string => c.repeat(40);

void test('a full name comes before a branch, a branch before a tag', () => {
  const listing = [
    `${sha('1')}\trefs/heads/v1`,
    `${sha('2')}\trefs/tags/v1`,
    `${sha('3')}\trefs/tags/v1^{}`,
    `${sha('4')}\trefs/heads/refs/tags/v1`,
    '',
  ].join('\n');
  assert.deepEqual(chooseRef(listing, 'v1'), { ref: 'refs/heads/v1', checksum: sha('1'), commit: '' });
  assert.deepEqual(chooseRef(listing, 'refs/tags/v1'), {
    ref: 'refs/heads/refs/tags/v1',
    checksum: sha('4'),
    commit: '',
  });
  const tags = listing.split('\n').slice(1, 3).join('\n');
  assert.deepEqual(chooseRef(tags, 'v1'), { ref: 'refs/tags/v1', checksum: sha('2'), commit: sha('3') });
  assert.deepEqual(chooseRef(tags, 'tags/v1'), { ref: 'refs/tags/v1', checksum: sha('2'), commit: '' });
  assert.throws(() => chooseRef(listing, 'v2'), /^BuildError: repository does not contain ref v2, output: /);
  assert.throws(() => chooseRef('x\trefs/heads/v1', 'v1'), /invalid commit sha "x"/);
});

void test('cache keys are the texts that upstream makes', () => {
  const key = (attrs: Record<string, string>, ref = 'v1', dir = '') =>
    gitCacheKey(parseGit({ ref: `h/r.git#${ref}${dir}`, attrs: new Map(Object.entries(attrs)) }), {
      ref: 'refs/tags/v1',
      checksum: sha('a'),
      commit: sha('b'),
    });
  assert.equal(key({}), sha('b'));
  assert.equal(key({ 'git.keepgitdir': 'true' }), `${sha('a')}.git#refs/tags/v1`);
  assert.equal(key({ 'git.skipsubmodules': 'true' }, 'v1', ':x'), `${sha('b')}:x(skip-submodules)`);
  assert.equal(key({ 'git.mtime': 'commit' }), `${sha('b')}(mtime=commit)`);
  assert.equal(key({ 'git.mtime': 'checkout', 'git.checkoutbundle': 'true' }), `${sha('b')}(bundle)`);
});

void test('wrong attributes', () => {
  const refuse = (ref: string, attrs: Record<string, string>, message: RegExp): void =>
    assert.throws(
      () => parseGit({ ref, attrs: new Map(Object.entries(attrs)) }),
      (e) => e instanceof BuildError && message.test(e.message),
    );
  refuse('h/r.git#--upload-pack=x', {}, /^invalid git ref "--upload-pack=x"$/);
  refuse('h/r', { 'git.bundle': 'x' }, /locator "x": missing scheme/);
  refuse('h/r', { 'git.bundle': `https://a@sha256:${'a'.repeat(64)}` }, /scheme "https" is not supported/);
  const bundle = `oci-layout+blob://a/b@sha256:${'a'.repeat(64)}`;
  refuse('h/r', { 'git.bundle': bundle }, /^git.bundle requires git.checksum to be set$/);
  refuse(
    `h/r#${sha('a')}`,
    { 'git.bundle': bundle, 'git.checksum': sha('b') },
    /^expected checksum to match b+, got a+$/,
  );
  refuse('h/r', { 'git.checkoutbundle': 'true', 'git.keepgitdir': 'true' }, /incompatible with git.keepgitdir/);
  refuse('h/r#:x', { 'git.checkoutbundle': 'true' }, /incompatible with git.subdir/);
  // No way to protocols that run programs or read this machine's files.
  for (const url of ['file:///etc', 'ext::sh -c id', '--upload-pack=x', '/etc']) {
    assert.equal(parseGit({ ref: 'h/r', attrs: new Map([['git.fullurl', url]]) }).remote, `https://${url}`);
  }
});

void test('credentials: whose are asked for, and that they are not shown', () => {
  const names = (remote: string): string[] =>
    secretNames({ remote, headerSecret: 'H', tokenSecret: 'T' }).map((s) => s.id);
  assert.deepEqual(names('https://u@h:8/a.git'), ['H.h:8', 'T.h:8', 'H', 'T']);
  assert.deepEqual(names('git@h:a.git'), []);
  assert.equal(headerScope('https://github.com/a/b.git'), 'https://github.com/');
  assert.equal(headerScope('https://github.community/a.git'), 'https://github.community/a.git');
  assert.deepEqual(urlSecrets('https://user:p%40ss@h/'), ['user:p%40ss', 'p%40ss', 'user:p@ss', 'p@ss']);
  assert.deepEqual(urlSecrets('https://git@h/'), []);

  const shown: string[] = [];
  const lines = new Redaction(['s3cret', 's3cret-long']).lines((data) => shown.push(data.toString()));
  for (const part of ['a s3c', 'ret-lo', 'ng b\nx s3cre', 't\ry s3']) lines.write(Buffer.from(part));
  lines.write(Buffer.from('cret'));
  lines.end();
  assert.equal(shown.join(''), 'a xxxxx b\nx xxxxx\ry xxxxx');
});

/** Folders that are locked while somebody holds them, found by their index. */
class FakeStorage {
  readonly records = new Map<string, { dir: string; indexes: Set<string>; kept: boolean; held: number }>();

  #ref(id: string): MutableRef & ImmutableRef {
    const record = this.records.get(id);
    if (record === undefined) throw notFound(id);
    record.held++;
    const ref = {
      id,
      dir: record.dir,
      mounts: async () => ({ mounts: [{ type: 'bind', source: record.dir, options: [] }], release: async () => {} }),
      metadata: {
        set: async (_: string, value: string | undefined, index: string) => {
          if (value === undefined) record.indexes.clear();
          else record.indexes.add(index);
        },
        setRetain: async (retain: boolean) => void (record.kept = retain),
      },
      commit: async () => ref,
      release: async () => {
        if (--record.held === 0 && !record.kept) this.records.delete(id);
      },
    };
    return ref as unknown as MutableRef & ImmutableRef;
  }

  readonly accessor = {
    create: async (_: unknown, options: { recordType?: string }) => {
      const id = `r${this.records.size}`;
      const kept = options.recordType === 'source.git.checkout';
      this.records.set(id, { dir: mkdtempSync(join(top, 'snapshot-')), indexes: new Set(), kept, held: 0 });
      return this.#ref(id);
    },
    get: async (id: string) => this.#ref(id),
    getMutable: async (id: string) => {
      if ((this.records.get(id)?.held ?? 0) > 0) throw new BuildError(Code.FailedPrecondition, 'locked');
      return this.#ref(id);
    },
    search: async (index: string) =>
      [...this.records]
        .filter(([, r]) => r.indexes.has(index))
        .map(([id]) => ({ ...this.#ref(id).metadata, id, ...this.#unhold(id) })),
  } as unknown as CacheAccessor;

  #unhold(id: string): object {
    (this.records.get(id) as { held: number }).held--;
    return {};
  }
}

const takeBack = offerMounts({
  directory: async (set: { mounts: Array<{ source: string }> }) => ({
    dir: set.mounts[0]?.source,
    release: async () => {},
  }),
} as never);
after(takeBack);

/** A repository, made by real git, and a server that hands its files out as they are. */
class Origin {
  readonly dir = mkdtempSync(join(top, 'origin-'));
  readonly requests: string[] = [];
  /** What requests must be authorised with. */
  password: string | undefined;
  readonly #server = createServer((request, response) => {
    this.requests.push(request.url ?? '');
    if (this.password !== undefined && request.headers.authorization !== this.password) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      return;
    }
    const file = join(this.dir, (request.url ?? '').replace(/\?.*/, ''));
    if (!existsSync(file) || !statSync(file).isFile()) response.writeHead(404).end();
    else createReadStream(file).pipe(response);
  });

  url = '';

  static async start(format = 'sha1'): Promise<Origin> {
    const origin = new Origin();
    origin.git('init', '-q', '-b', 'main', `--object-format=${format}`);
    origin.git('config', 'user.email', 'me@example.com');
    origin.git('config', 'user.name', 'me');
    origin.#server.listen(0, '127.0.0.1');
    await once(origin.#server, 'listening');
    origin.url = `http://127.0.0.1:${(origin.#server.address() as AddressInfo).port}/.git`;
    after(() => void origin.#server.close());
    return origin;
  }

  git(...args: string[]): string {
    const env = { PATH: process.env.PATH, HOME: '/dev/null', GIT_COMMITTER_DATE: '1000000000 +0000' };
    const out = execFileSync('git', args, {
      cwd: this.dir,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return out.trim();
  }

  /** The new commit. */
  commit(files: Record<string, string>): string {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(this.dir, name, '..'), { recursive: true });
      writeFileSync(join(this.dir, name), text);
    }
    this.git('add', '.');
    this.git('commit', '-q', '-m', 'x');
    return this.publish();
  }

  publish(): string {
    this.git('update-server-info');
    return this.git('rev-parse', 'HEAD');
  }
}

class Build {
  readonly storage = new FakeStorage();
  readonly logs: string[] = [];
  secrets: Record<string, string> = {};
  /** Compatibility versions of the builds that share it. */
  versions: number[] = [30];
  /** What registries have. */
  blob = Buffer.alloc(0);
  readonly fetched: string[] = [];
  readonly #once = new Map<string, Promise<unknown>>();
  readonly #source = createGitSource({
    accessor: this.storage.accessor,
    content: {} as ContentStore,
    registry: {
      referrers: async () => [],
      blobSize: async () => this.blob.length,
      fetch: (ref: string) => {
        this.fetched.push(ref);
        return Readable.from([this.blob]);
      },
    } as unknown as Registry,
    sessions: {
      any: async (_: unknown, __: unknown, call: (caller: SessionCaller) => Promise<unknown>) =>
        call({
          channel: {
            unary: async (_service: unknown, _method: unknown, { ID }: { ID: string }) => {
              if (this.secrets[ID] === undefined) throw notFound(ID);
              return { data: Buffer.from(this.secrets[ID]) };
            },
          },
        } as unknown as SessionCaller),
    } as unknown as SessionManager,
  });

  readonly context = {
    signal: new AbortController().signal,
    progress: {
      ...noProgress,
      log: (_: number, data: Uint8Array) => void this.logs.push(Buffer.from(data).toString()),
    },
    sessions: () => ['s'],
    values: () => this.versions,
    once: (key: string, work: () => Promise<unknown>) => {
      const known = this.#once.get(key) ?? work();
      this.#once.set(key, known);
      return known;
    },
  } as unknown as JobContext;

  #request(origin: Origin, fragment: string, attrs: Record<string, string>) {
    const all = { 'git.fullurl': origin.url, ...attrs };
    const ref = `${origin.url.replace(/^http:\/\//, '')}${fragment}`;
    return {
      scheme: 'git',
      ref,
      attrs: new Map(Object.entries(all)),
      platform: { os: 'linux', architecture: 'amd64' },
    };
  }

  async checkout(origin: Origin, fragment = '', attrs: Record<string, string> = {}) {
    const instance = this.#source.resolve(this.#request(origin, fragment, attrs));
    const { key } = await instance.cacheKey(this.context, 0);
    const ref = (await instance.snapshot(this.context)) as ImmutableRef & { dir: string };
    await ref.release();
    return { key, dir: ref.dir, names: readdirSync(ref.dir).toSorted() };
  }

  async describe(origin: Origin, fragment: string, gitObjects: boolean) {
    const answer = await this.#source.describe?.(this.#request(origin, fragment, {}), { gitObjects }, this.context);
    return answer?.git as NonNullable<NonNullable<typeof answer>['git']>;
  }

  /** Looks again at what refs name. */
  forget(): this {
    this.#once.clear();
    return this;
  }

  get shared(): number {
    return [...this.storage.records.values()].filter((r) => [...r.indexes].some((i) => i.startsWith('git-remote::')))
      .length;
  }
}

for (const format of ['sha1', 'sha256']) {
  void test(`${format}: branches, tags, commits, folders, history`, async () => {
    const origin = await Origin.start(format);
    const first = origin.commit({ a: 'one', 'sub/dir/b': 'two' });
    origin.git('tag', '-a', 'v1', '-m', 'v1');
    const tag = origin.git('rev-parse', 'v1');
    const second = origin.commit({ c: 'three' });
    const build = new Build();

    const main = await build.checkout(origin);
    assert.deepEqual([main.key, main.names], [second, ['a', 'c', 'sub']]);
    assert.equal(statSync(join(main.dir, 'a')).mode & 0o777, 0o644);
    const tagged = await build.checkout(origin, '#v1');
    assert.deepEqual([tagged.key, tagged.names], [first, ['a', 'sub']]);
    const sub = await build.checkout(origin, '#v1:sub/dir');
    assert.deepEqual([sub.key, sub.names], [`${first}:sub/dir`, ['b']]);
    assert.equal((await build.checkout(origin, `#${first}`)).dir, tagged.dir);
    const kept = await build.checkout(origin, '#v1', { 'git.keepgitdir': 'true' });
    assert.deepEqual([kept.key, kept.names], [`${tag}.git#refs/tags/v1`, ['.git', 'a', 'sub']]);
    const inKept = (...args: string[]): string =>
      execFileSync('git', ['-c', 'safe.directory=*', '-C', kept.dir, ...args], { encoding: 'utf8' }).trim();
    assert.equal(inKept('describe', '--exact-match'), 'v1');
    assert.equal(inKept('remote', 'get-url', 'origin'), origin.url);
    const old = await build.checkout(origin, '', { 'git.mtime': 'commit' });
    assert.deepEqual([...new Set(['.', 'a', 'sub/dir/b'].map((n) => statSync(join(old.dir, n)).mtimeMs))], [1e12]);

    assert.deepEqual(await build.describe(origin, '#v1', false), {
      checksum: tag,
      ref: 'refs/tags/v1',
      commitChecksum: first,
    });
    const { tagObject, commitObject } = await build.describe(origin, '#v1', true);
    assert.match(Buffer.from(tagObject ?? []).toString(), new RegExp(`^object ${first}\ntype commit\ntag v1\n`));
    assert.match(Buffer.from(commitObject ?? []).toString(), /^tree /);
    assert.equal(build.shared, 1);
  });
}

void test('a remote that moves: the key counts, a clobbered repository is made anew', async () => {
  const origin = await Origin.start();
  const first = origin.commit({ a: 'one' });
  origin.git('tag', 'v1');
  origin.publish();
  const build = new Build();
  await build.checkout(origin, '#main');
  // Between the key and the fetch of another build.
  const second = origin.commit({ b: 'two' });
  const late = await build.checkout(origin, '#main:/', { 'git.skipsubmodules': 'true' });
  assert.deepEqual([late.key, late.names], [`${first}(skip-submodules)`, ['a']]);
  assert.deepEqual((await build.forget().checkout(origin, '#main')).names, ['a', 'b']);
  assert.deepEqual((await build.checkout(origin, '#v1')).names, ['a']);
  origin.git('tag', '-f', 'v1');
  origin.git('checkout', '-q', '-b', 'dir');
  const third = origin.commit({ c: 'three' });
  assert.equal((await build.forget().checkout(origin, '#v1')).key, second);
  assert.deepEqual((await build.checkout(origin, '#dir')).names, ['a', 'b', 'c']);
  origin.git('checkout', '-q', 'main');
  origin.git('branch', '-D', 'dir');
  origin.git('branch', 'dir/below', third);
  origin.publish();
  assert.equal((await build.forget().checkout(origin, '#dir/below')).key, third);
  assert.equal(build.shared, 1);
});

void test('checksums: of the ref, of its tag, the beginning alone, another one', async () => {
  const origin = await Origin.start();
  const first = origin.commit({ a: 'one' });
  origin.git('tag', '-a', 'v1', '-m', 'v1');
  origin.publish();
  const tag = origin.git('rev-parse', 'v1');
  const build = new Build();
  for (const checksum of [first, first.slice(0, 7), tag]) {
    assert.equal((await build.checkout(origin, '#v1', { 'git.checksum': checksum })).key, first);
  }
  const wrong = (fragment: string, checksum: string, message: RegExp): Promise<void> =>
    assert.rejects(build.checkout(origin, fragment, { 'git.checksum': checksum }), (e: Error) =>
      message.test(e.message),
    );
  await wrong('#main', sha('0'), new RegExp(`^expected checksum to match 0+, got ${first}$`));
  await wrong(`#${first}`, 'abc', new RegExp(`^expected checksum to match abc, got ${first}$`));
  await wrong('#main', 'x y', /^invalid checksum x y for Git URL, expected hex commit hash$/);
  const byCommit = { 'git.fetchbycommit': 'true', 'git.checksum': first, 'git.keepgitdir': 'true' };
  assert.equal((await build.checkout(origin, '#any', byCommit)).key, `${first}.git#refs/heads/any`);
  await assert.rejects(build.checkout(origin, '#any', { 'git.fetchbycommit': 'true' }), /requires a checksum/);
});

void test('credentials of the client let git in and are shown nowhere', async () => {
  const origin = await Origin.start();
  origin.commit({ a: 'one' });
  const token = 'very-s3cret-token';
  const basic = Buffer.from(`x-access-token:${token}`).toString('base64');
  origin.password = `basic ${basic}`;
  const build = new Build();
  const attrs = { 'git.authtokensecret': 'TOKEN' };
  const refused = build.checkout(origin, '#main', attrs);
  await assert.rejects(refused, (e: Error) =>
    /could not read Username|Authentication failed|terminal prompts disabled/.test(e.message),
  );
  build.secrets = { [`TOKEN.${new URL(origin.url).host}`]: `${token}\n`, TOKEN: 'other' };
  assert.deepEqual((await build.forget().checkout(origin, '#main', attrs)).names, ['a']);

  origin.url = origin.url.replace('http://', 'http://me:pa55word@');
  build.secrets = {};
  await assert.rejects(build.checkout(origin, '#main'), (e: Error) => !e.message.includes('pa55word'));
  for (const word of [token, basic, 'pa55word']) assert.ok(!build.logs.join('').includes(word), word);
});

void test('a folder of the repository is a folder all the way', async () => {
  const origin = await Origin.start();
  execFileSync('ln', ['-s', '/etc', join(origin.dir, 'link')]);
  origin.commit({ 'a/b': 'one' });
  const build = new Build();
  const refuse = (dir: string, message: string): Promise<void> =>
    assert.rejects(build.checkout(origin, `#main:${dir}`), { message });
  await refuse('link', 'invalid subdir link: git subpath "link" contains non-directory "link"');
  await refuse('a/b', 'invalid subdir a/b: git subpath "a/b" contains non-directory "a/b"');
  await refuse('x/y', 'invalid subdir x/y: failed to lstat "x": statat x: no such file or directory');
  assert.deepEqual((await build.checkout(origin, '#main:../../a')).names, ['b']);
});

void test('a remote is asked only for what is not there as a whole', async () => {
  const origin = await Origin.start();
  const commit = origin.commit({ a: 'one', 'd/b': 'two' });
  const build = new Build();
  await build.checkout(origin, '#main');
  await build.checkout(origin, `#${commit}:d`);
  const asked = origin.requests.length;
  await build.checkout(origin, '#main', { 'git.keepgitdir': 'true' });
  await build.checkout(origin, `#${commit}`, { 'git.keepgitdir': 'true' });
  assert.equal(origin.requests.length, asked);

  // As a fetch leaves it that ends before its last object.
  const shared = [...build.storage.records.values()].find((r) =>
    [...r.indexes].some((i) => i.startsWith('git-remote')),
  );
  const other = origin.commit({ c: 'three' });
  const object = origin.git('cat-file', 'commit', other);
  const dir = shared?.dir ?? '';
  execFileSync('git', ['--git-dir', dir, 'hash-object', '-t', 'commit', '-w', '--stdin'], { input: `${object}\n` });
  assert.deepEqual((await build.checkout(origin, `#${other}`)).names, ['a', 'c', 'd']);
});

void test('builds may want the file modes of an older daemon', async () => {
  const origin = await Origin.start();
  origin.commit({ a: 'one' });
  const build = new Build();
  build.versions = [10, 10];
  const { dir } = await build.checkout(origin, '#main');
  assert.equal(statSync(join(dir, 'a')).mode & 0o777, 0o666);
  build.versions = [10, 30];
  const both = build.checkout(origin, '#main:/', { 'git.skipsubmodules': 'true' });
  await assert.rejects(both, { message: 'conflicting compatibility versions in shared solve state: 10 != 30' });
});

void test('submodules come with it, those of this machine do not', async () => {
  const inner = await Origin.start();
  inner.commit({ x: 'inner' });
  const origin = await Origin.start();
  const modules = (url: string): void => {
    writeFileSync(join(origin.dir, '.gitmodules'), `[submodule "in"]\n\tpath = in\n\turl = ${url}\n`);
    origin.git('add', '.gitmodules');
    origin.git('update-index', '--add', '--cacheinfo', `160000,${inner.git('rev-parse', 'HEAD')},in`);
    origin.git('commit', '-q', '-m', 'x');
    origin.publish();
  };
  modules(inner.url);
  const build = new Build();
  const { dir } = await build.checkout(origin, '#main');
  assert.equal(readFileSync(join(dir, 'in/x'), 'utf8'), 'inner');
  const without = await build.checkout(origin, '#main', { 'git.skipsubmodules': 'true' });
  assert.deepEqual(readdirSync(join(without.dir, 'in')), []);

  modules(inner.dir);
  const refused = new Build().checkout(origin, '#main');
  await assert.rejects(refused, /failed to update submodules .*transport 'file' not allowed/s);
});

for (const format of ['sha1', 'sha256']) {
  void test(`${format}: a bundle is made of a history, and stands for its remote`, async () => {
    const origin = await Origin.start(format);
    const first = origin.commit({ a: 'one' });
    const second = origin.commit({ b: 'two' });
    origin.git('tag', '-a', 'v1', '-m', 'v1');
    origin.publish();
    const maker = new Build();
    const { key, dir, names } = await maker.checkout(origin, '#main', { 'git.checkoutbundle': 'true' });
    assert.deepEqual([key, names], [`${second}(bundle)`, ['bundle']]);
    assert.equal(origin.git('bundle', 'list-heads', join(dir, 'bundle')), `${second} refs/heads/main`);
    const tagged = await maker.checkout(origin, '#refs/tags/v1', { 'git.checkoutbundle': 'true' });
    assert.match(origin.git('bundle', 'list-heads', join(tagged.dir, 'bundle')), /^[0-9a-f]+ refs\/tags\/v1$/);

    const build = new Build();
    build.blob = readFileSync(join(dir, 'bundle'));
    const bundle = `docker-image+blob://h/r@${digestOf(build.blob)}`;
    const asked = origin.requests.length;
    const attrs = { 'git.bundle': bundle, 'git.checksum': second };
    for (const fragment of [`#${second}`, '#main', '']) {
      assert.deepEqual((await build.checkout(origin, fragment, attrs)).names, ['a', 'b'], fragment);
    }
    const kept = await build.checkout(origin, '#main', { ...attrs, 'git.keepgitdir': 'true' });
    assert.equal(readFileSync(join(kept.dir, '.git/refs/heads/main'), 'utf8').trim(), second);
    assert.equal(origin.requests.length, asked);
    assert.equal(build.fetched.length, 3);

    const wrong = (more: Record<string, string>, message: RegExp): Promise<void> =>
      assert.rejects(new Build().checkout(origin, '#main', { ...attrs, ...more }), (e: Error) =>
        message.test(e.message),
      );
    await wrong({}, /^expected checksum to match sha256:[0-9a-f]{64}, got sha256:e3b0c44298fc/);
    const other = new Build();
    other.blob = build.blob;
    const none = first.replace(/^./, (c) => (c === '0' ? '1' : '0'));
    const missing = other.checkout(origin, '#main', { ...attrs, 'git.checksum': none });
    await assert.rejects(missing, new RegExp(`commit ${none} not found in bundle h/r@sha256:`));
  });
}

void test('ssh: the agent and the known hosts of the client, and nothing else of this machine', async (t) => {
  const origin = await Origin.start();
  origin.commit({ a: 'one' });
  const bin = mkdtempSync(join(top, 'bin-'));
  // Says how it was called, and speaks for the host.
  const ssh = `#!/bin/sh\necho "ssh $*" >&2; env | grep -E '^(HOME|SSH_AUTH_SOCK|GIT_CONFIG|SECRET)' >&2\nfor last; do :; done\neval "$last"\n`;
  writeFileSync(join(bin, 'ssh'), ssh, { mode: 0o755 });
  const { PATH } = process.env;
  process.env.PATH = `${bin}:${PATH}`;
  process.env.SECRET = 'of the daemon';
  t.after(() => {
    process.env.PATH = PATH;
    delete process.env.SECRET;
  });
  const build = new Build();
  const url = `me@example.com:${origin.dir}/.git`;
  const attrs = { 'git.fullurl': url, 'git.knownsshhosts': 'example.com ssh-ed25519 AAAA' };
  assert.deepEqual((await build.checkout(origin, '#main', attrs)).names, ['a']);
  const log = build.logs.join('');
  assert.match(log, /^ssh -F \/dev\/null -o UserKnownHostsFile=\S+known_hosts .*me@example\.com git-upload-pack /m);
  assert.match(log, /^HOME=\/dev\/null$/m);
  assert.ok(!log.includes('SECRET'));
  await build.forget().checkout(origin, '#main', { 'git.fullurl': url });
  assert.match(build.logs.join(''), /^ssh -F \/dev\/null -o StrictHostKeyChecking=no /m);
});

void test('signatures by SSH keys: of the commit, of its tag, by others, of something else', async () => {
  const origin = await Origin.start();
  const keys = mkdtempSync(join(top, 'keys-'));
  const key = (type: string): string => {
    execFileSync('ssh-keygen', [
      '-q',
      '-t',
      type,
      ...(type === 'rsa' ? ['-b', '2048'] : []),
      '-N',
      '',
      '-f',
      join(keys, type),
    ]);
    return readFileSync(join(keys, `${type}.pub`), 'utf8');
  };
  const publicKeys = ['ed25519', 'ecdsa', 'rsa'].map((type) => [type, key(type)] as const);
  origin.git('config', 'gpg.format', 'ssh');
  const build = new Build();
  const check = (fragment: string, pubkey: string, more: Record<string, string> = {}) =>
    build.forget().checkout(origin, fragment, { 'git.sig.pubkey': pubkey, ...more });
  origin.commit({ a: 'not signed' });
  await assert.rejects(check('#main', publicKeys[0][1]), /^BuildError: git object is not signed$/);
  for (const [type, publicKey] of publicKeys) {
    origin.git('config', 'user.signingkey', join(keys, type));
    origin.git('commit', '-q', '--allow-empty', '-S', '-m', `signed by ${type}\n\nmore`);
    origin.publish();
    assert.deepEqual((await check('#main', `# mine\n${publicKey}`)).names, ['a']);
    const other = publicKeys.find(([t]) => t !== type)?.[1] ?? '';
    await assert.rejects(
      check('#main', other),
      /^BuildError: failed to verify ssh signature: public key does not match$/,
    );
  }
  const [[, mine]] = publicKeys;
  origin.git('config', 'user.signingkey', join(keys, 'ed25519'));
  origin.git('tag', '-s', 'signed', '-m', 'x', 'HEAD~3');
  origin.git('tag', '-a', 'unsigned', '-m', 'x');
  origin.publish();
  assert.deepEqual((await check('#signed', mine)).names, ['a']);
  await assert.rejects(check('#signed', mine, { 'git.sig.ignoresignedtag': 'true' }), /git object is not signed/);
  await assert.rejects(check('#unsigned', mine, { 'git.sig.requiresignedtag': 'true' }), /git object is not signed/);
  await assert.rejects(
    check('#main', mine, { 'git.sig.requiresignedtag': 'true' }),
    /signed tag required but no signed tag found/,
  );
});

void test('what a signature is over', () => {
  const signed = (raw: string): string[] => {
    const { signature, signedData } = parseGitObject(Buffer.from(raw, 'latin1'));
    return [signature, Buffer.from(signedData).toString('latin1')];
  };
  const head = 'tree 1\nauthor a\ncommitter c\n';
  assert.deepEqual(signed(`${head}gpgsig A\n B\n \n C\nx y\n\ngpgsig no\n`), [
    'A\nB\n\nC',
    `${head}x y\n\ngpgsig no\n`,
  ]);
  assert.deepEqual(signed(`${head}gpgsig-sha256 A\n B\n\nm\xff`), ['A\nB', `${head}\nm\xff`]);
  const tag = 'object 1\ntype commit\ntag v\ntagger t\n\nmessage\n';
  const armor = '-----BEGIN SSH SIGNATURE-----\nx\n-----END SSH SIGNATURE-----\n';
  assert.deepEqual(signed(tag + armor), [armor, tag]);
  assert.deepEqual(signed(tag), ['', tag]);
  assert.throws(() => signed('tree 1\nauthor a\n\ncommitter c'), /invalid commit object: missing committer header/);
  assert.throws(() => signed('object 1\n'), /invalid tag object: missing type header/);
});
