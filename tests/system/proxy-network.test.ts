/** Steps whose only way out is the daemon's proxy: real requests by HTTP and HTTPS to servers of the test's own. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Authority } from './certificates.ts';
import { Daemon } from './daemon.ts';
import { mustRun, run, until } from './process.ts';
import { cannotRun, makeScratch, mountsBelow, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
const BEGIN = 'buildkit proxy CA begin';
const PAYLOAD = 'what the server has\n';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

interface Build {
  readonly code: number;
  readonly stderr: string;
  /** Folder of the result. */
  readonly out: string;
}

void describe('the proxy network', { skip: cannotRun, timeout: 280_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let plain: Server;
  let secure: Server;
  let http: string;
  let https: string;
  let asked: string[] = [];
  let hold: (() => void) | undefined;
  let builds = 0;
  const into = (path: string): string => join(scratch.folder, path);

  const answer: RequestListener = (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (request.url === '/stall') hold?.();
    else if (request.url === '/round') response.writeHead(302, { location: '/round' }).end();
    else if (request.url === '/missing') response.writeHead(404).end();
    else response.end(PAYLOAD);
  };

  /** openssl and what it loads: the image has no program that speaks TLS and looks whom it trusts. */
  async function tlsClient(): Promise<Record<string, string>> {
    const program = (await mustRun('sh', ['-c', 'command -v openssl'])).trim();
    const libraries = await mustRun('ldd', [program]);
    const paths = [program, ...[...libraries.matchAll(/(\/\S+) \(0x/g)].map((found) => found[1] as string)];
    for (const path of paths) {
      const at = into(`context/tls${path}`);
      mkdirSync(dirname(at), { recursive: true });
      copyFileSync(path, at);
    }
    return { program };
  }

  /** Builds these lines upon an image with a trust bundle. */
  async function build(lines: readonly string[], ...more: string[]): Promise<Build> {
    const out = into(`out-${++builds}`);
    const context = writeContext(into('context'), {
      bundle: 'an authority\n',
      Dockerfile: ['FROM busybox', `COPY bundle ${BUNDLE}`, ...lines].join('\n'),
    });
    const output = more.includes('--output') ? [] : ['--output', `type=local,dest=${out}`];
    const args = [...context, ...scratch.busybox, '--proxy-network', ...output, ...more];
    const { code, stderr } = await daemon.buildctl([], args);
    return { code, stderr, out };
  }

  before(async () => {
    scratch = await makeScratch();
    const authority = await Authority.make(scratch.folder, 'origins');
    const { cert, key } = await authority.issue('origin', 'IP:127.0.0.1');
    plain = createServer(answer);
    secure = createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, answer);
    const port = async (server: Server): Promise<number> => {
      await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
      return (server.address() as AddressInfo).port;
    };
    http = `http://127.0.0.1:${await port(plain)}`;
    https = `https://127.0.0.1:${await port(secure as Server)}`;
    // Whom the daemon's machine trusts.
    process.env['SSL_CERT_FILE'] = authority.cert;
    daemon = await Daemon.start(scratch.folder, '--allow-insecure-entitlement', 'network.host');
  });
  after(async () => {
    delete process.env['SSL_CERT_FILE'];
    await daemon?.end();
    for (const server of [plain, secure]) {
      server?.closeAllConnections();
      server?.close();
    }
    await scratch?.remove();
  });

  const nothingIsLeft = async (): Promise<void> => {
    const folder = join(daemon.root, 'net/proxy');
    await until('no namespace is left', () => readdirSync(folder).length === 0);
    await until('nothing is mounted', () => mountsBelow(daemon.root).length === 0);
    // What a build that was given up had written is removed in the background.
    const certificates = async (): Promise<string> =>
      (await run('grep', ['-rl', '-e', '-----BEGIN CERTIFICATE-----', join(daemon.root, 'snapshots')])).stdout;
    await until('no layer has a certificate', async () => (await certificates()) === '');
  };

  void test('what steps fetch is shown and attested, and the layer is as if there were no proxy', async () => {
    const { program } = await tlsClient();
    const proxy = '${HTTPS_PROXY#http://}';
    const tls = `chroot /tls ${program} s_client -proxy ${proxy} -connect ${https.slice(8)} -verify_return_error -quiet -CAfile /ca`;
    const lines = [
      'COPY tls /tls',
      `RUN env NO_PROXY= no_proxy= wget -q -O /plain ${http}/plain`,
      `RUN grep -q "${BEGIN}" ${BUNDLE} && cp ${BUNDLE} /tls/ca && printf 'GET /secure HTTP/1.0\\r\\n\\r\\n' | ${tls} > /answer; rm /tls/ca; grep "what the server has" /answer`,
      `RUN --network=none ! grep "${BEGIN}" ${BUNDLE} && ! env | grep -i _proxy=`,
    ];
    const { code, stderr, out } = await build(lines, '--opt', 'attest:provenance=mode=max');
    assert.equal(code, 0, stderr + daemon.log);
    for (const url of [`${http}/plain`, `${https}/secure`]) {
      assert.match(stderr, new RegExp(`proxy network requests:\\n#\\d+ (\\S+ )?- GET ${url} -> 200\\n`));
    }
    assert.equal(readFileSync(join(out, 'plain'), 'utf8'), PAYLOAD);
    assert.equal(readFileSync(join(out, BUNDLE), 'utf8'), 'an authority\n');
    const { predicate } = JSON.parse(readFileSync(join(out, 'provenance.json'), 'utf8'));
    const { resolvedDependencies } = predicate.buildDefinition;
    for (const uri of [`${http}/plain`, `${https}/secure`]) {
      const found = resolvedDependencies.find((d: { uri: string }) => d.uri === uri);
      assert.deepEqual(found?.digest, { sha256: sha256(PAYLOAD) }, uri);
    }
    const { metadata } = predicate.runDetails;
    assert.deepEqual(metadata.buildkit_metadata.network, { mode: 'proxy' });
    assert.equal(metadata.buildkit_hermetic, undefined);
    await nothingIsLeft();
  });

  void test('the layer of a step says nothing of the bundle', async () => {
    const image = into('image.tar');
    const { code, stderr } = await build(
      [`RUN grep -q "${BEGIN}" ${BUNDLE} && echo made > /made`],
      '--output',
      `type=docker,dest=${image}`,
    );
    assert.equal(code, 0, stderr);
    mkdirSync(into('image'));
    await mustRun('tar', ['-xf', image, '-C', into('image')]);
    const [{ Layers }] = JSON.parse(readFileSync(into('image/manifest.json'), 'utf8'));
    const names = await mustRun('tar', ['-tzf', into(`image/${Layers.at(-1)}`)]);
    // The image has no folders for the runtime's own mounts.
    const own = names
      .trim()
      .split('\n')
      .filter((name) => !/^(dev|proc|sys)\/$/.test(name));
    assert.deepEqual(own, ['made']);
  });

  void test('a step that ignores the proxy has no way out', async () => {
    const outside = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find((one) => one.family === 'IPv4' && !one.internal)?.address;
    const port = new URL(http).port;
    const quiet = 'env -u http_proxy -u HTTP_PROXY -u https_proxy -u HTTPS_PROXY';
    const target = '$(echo ${HTTP_PROXY#http://} | cut -d: -f1)';
    const hosts = ['127.0.0.1', target, ...(outside === undefined ? [] : [outside])];
    asked = [];
    const why = 'grep -E "Network is unreachable|Connection refused"';
    const lines = hosts.map((host) => `RUN ${quiet} wget -O- http://${host}:${port}/direct 2>&1 | ${why}`);
    const { code, stderr } = await build([...lines, 'RUN ! ip route | grep default']);
    assert.equal(code, 0, stderr);
    assert.deepEqual(asked, []);
  });

  void test('source policies say what a step may ask for', async () => {
    const policy = into('policy.json');
    const rules = [
      { action: 'DENY', selector: { identifier: `${http}/denied` } },
      { action: 'CONVERT', selector: { identifier: `${http}/from` }, updates: { identifier: `${http}/to` } },
    ];
    writeFileSync(policy, JSON.stringify({ rules }));
    asked = [];
    const get = 'env NO_PROXY= no_proxy= wget -S -O-';
    const lines = [`RUN ${get} ${http}/denied 2>&1 | grep "403 Forbidden"`, `RUN ${get} ${http}/from`];
    const { code, stderr } = await build(lines, '--source-policy-file', policy);
    assert.equal(code, 0, stderr);
    assert.deepEqual(asked, ['GET /to']);
    assert.match(stderr, new RegExp(`- GET ${http}/to -> 200`));
  });

  void test('complete materials are refused when nobody can tell what came, a circle ends', async () => {
    const get = 'env NO_PROXY= no_proxy= wget -q -O-';
    const lines = [`RUN ! ${get} ${http}/missing`, `RUN ! ${get} ${http}/round`];
    const options = ['--opt', 'attest:provenance=mode=max,complete-materials=true'];
    const { code, stderr } = await build(lines, ...options);
    assert.notEqual(code, 0);
    assert.match(stderr, /provenance materials are incomplete/);
    assert.match(stderr, new RegExp(`url: ${http}/missing\\n\\s+reason: unsuccessful_response`));
  });

  void test('the host network needs its permission', async () => {
    const lines = [`RUN --network=host env NO_PROXY= no_proxy= wget -q -O- ${http}/host`];
    const refused = await build(lines);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /network.host is not allowed/);
    const { code, stderr } = await build(lines, '--allow', 'network.host');
    assert.equal(code, 0, stderr);
    assert.match(stderr, new RegExp(`- GET ${http}/host -> 200`));
  });

  void test('a step that waits for a server is ended with its build, and a kill leaves nothing', async () => {
    const start = async (): Promise<ReturnType<Daemon['spawnBuildctl']>> => {
      const reached = new Promise<void>((resolve) => (hold = resolve));
      const context = writeContext(into('context'), {
        bundle: 'an authority\n',
        Dockerfile: `FROM busybox\nCOPY bundle ${BUNDLE}\nRUN env NO_PROXY= no_proxy= wget -q -O- ${http}/stall`,
      });
      const build = daemon.spawnBuildctl([...context, ...scratch.busybox, '--proxy-network']);
      await Promise.race([reached, build.ended.then((e) => Promise.reject(new Error(e.stderr)))]);
      return build;
    };
    const canceled = await start();
    canceled.signal('SIGINT');
    assert.notEqual((await canceled.ended).code, 0);
    await nothingIsLeft();
    const orphan = await start();
    await daemon.kill();
    await orphan.ended;
    assert.equal(readdirSync(join(daemon.root, 'net/proxy')).length, 1);
    await daemon.restart();
    await nothingIsLeft();
    await daemon.stopWithoutLeaks();
  });
});
