/** Registries, git and web servers that lie, lead in circles, fall silent or never end: each ends its own build and no more. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { RequestListener, ServerResponse } from 'node:http';
import { after, before, beforeEach, describe, test } from 'node:test';
import { cannotRun } from '../system/scratch.ts';
import { Stand } from './stand.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const digestOf = (bytes: string | Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const GIT = /exit status 128/;
const CIRCLE = /stopped after 10 redirects/;
const DIGEST = /unexpected commit digest/;
const LARGER = /content is larger than the \d+ bytes of its descriptor/;

const pieces = Buffer.alloc(64 * 1024, 'x');
/** Writes until the other side hangs up. */
function endless(response: ServerResponse): void {
  const more = (): void => {
    if (response.req.method === 'HEAD') response.end();
    else while (!response.destroyed && response.write(pieces));
  };
  response.on('drain', more);
  more();
}

const send =
  (body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}, status = 200): RequestListener =>
  (_, response) =>
    void response.writeHead(status, headers).end(body);

void describe('hostile servers', { skip: cannotRun, timeout: 280_000 }, () => {
  let stand: Stand;

  before(async () => {
    stand = await Stand.start();
  });
  after(() => stand?.end());
  beforeEach(() => {
    stand.routes.clear();
    stand.asked.length = 0;
  });

  /** An image `lies:latest` whose parts are what they should be, where the test says nothing else. */
  function image(lie: {
    manifest?: (right: string) => RequestListener;
    config?: (right: string) => RequestListener;
    layer?: (right: Buffer) => RequestListener;
    layerSize?: number;
    configText?: string;
    layers?: number;
  }): void {
    // Another one each time: the daemon knows what it has by the digest.
    const layer = Buffer.alloc(10_240);
    layer.write(`${stand.asked.length} ${Math.random()}`, 5000);
    const config =
      lie.configText ??
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        created: new Date().toISOString(),
        rootfs: { type: 'layers', diff_ids: Array.from({ length: lie.layers ?? 1 }, () => digestOf(layer)) },
      });
    const part = { mediaType: LAYER, digest: digestOf(layer), size: lie.layerSize ?? layer.length };
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: { mediaType: CONFIG, digest: digestOf(config), size: config.length },
      layers: Array.from({ length: lie.layers ?? 1 }, () => part),
    });
    const head = { 'content-type': MANIFEST, 'docker-content-digest': digestOf(manifest) };
    const answer = lie.manifest?.(manifest) ?? send(manifest, head);
    stand.routes.set('/v2/', send('{}'));
    for (const reference of ['latest', digestOf(manifest)]) stand.routes.set(`/v2/lies/manifests/${reference}`, answer);
    stand.routes.set(`/v2/lies/blobs/${digestOf(config)}`, lie.config?.(config) ?? send(config));
    stand.routes.set(`/v2/lies/blobs/${digestOf(layer)}`, lie.layer?.(layer) ?? send(layer));
  }

  const fromLies = (): string => `FROM ${stand.host}/lies\nRUN echo ran\n`;
  const circle: RequestListener = (request, response) =>
    void response.writeHead(307, { location: request.url ?? '/' }).end();
  const silent: RequestListener = (_, response) => response.writeHead(200).flushHeaders();

  const LIES: readonly [name: string, lie: Parameters<typeof image>[0], error: RegExp][] = [
    [
      'a manifest of another digest',
      {
        manifest: (right) => send(`${right} `, { 'content-type': MANIFEST, 'docker-content-digest': digestOf(right) }),
      },
      /unexpected digest/,
    ],
    [
      'a manifest that is a web page',
      { manifest: () => send('<html>', { 'content-type': 'text/html' }) },
      /failed to unmarshal manifest/,
    ],
    [
      'a manifest that is no JSON',
      { manifest: () => send('{"a":', { 'content-type': MANIFEST }) },
      /content sha256:\S+ not found/,
    ],
    [
      'a manifest that never ends',
      {
        manifest: () => (_, response) => {
          response.writeHead(200, { 'content-type': MANIFEST });
          endless(response);
        },
      },
      /ResourceExhausted: .*is larger than 8388608 bytes/,
    ],
    ['a manifest at the end of a circle', { manifest: () => circle }, CIRCLE],
    ['a config that is none', { configText: '[]' }, /failed to unmarshal image config/],
    ['a config of another digest', { config: (right) => send(right.replace('amd64', 'amd46')) }, DIGEST],
    ['a config that never ends', { config: () => (_, response) => endless(response.writeHead(200)) }, LARGER],
    ['a layer that is longer', { layer: (right) => send(Buffer.concat([right, right])) }, LARGER],
    [
      'a layer that is shorter',
      { layer: (right) => send(right.subarray(0, 5000)) },
      /unexpected EOF: 5000 of 10240 bytes/,
    ],
    ['a layer of another digest', { layer: (right) => send(Buffer.alloc(right.length, 'y')) }, DIGEST],
    ['a layer that never ends', { layer: () => (_, response) => endless(response.writeHead(200)) }, LARGER],
    ['a layer at the end of a circle', { layer: () => circle }, CIRCLE],
    [
      'a layer that breaks off each time',
      {
        layer: (right) => (_, response) => {
          response.writeHead(200, { 'content-length': String(right.length) }).write(right.subarray(0, 100));
          setTimeout(() => response.destroy(), 5);
        },
      },
      /unexpected EOF/,
    ],
    ['a layer of no size', { layerSize: -1 }, /invalid size -1/],
  ];

  void test('registries that lie', async () => {
    for (const [name, lie, error] of LIES) {
      image(lie);
      const { code, stderr } = await stand.build(fromLies());
      assert.notEqual(code, 0, name);
      assert.match(stderr, error, name);
    }
    await stand.nothingIsLeft();
  });

  void test('the same layer a thousand times', async () => {
    image({ layers: 1000 });
    const { stderr } = await stand.build(fromLies());
    // All of them were put on top of each other; only there is no shell in the image.
    assert.match(stderr, /"\/bin\/sh -c echo ran" did not complete successfully/);
    await stand.nothingIsLeft();
  });

  void test('registries that take an image and lie', async () => {
    const push = (): Promise<{ code: number; stderr: string }> =>
      stand.build(
        `FROM scratch\nCOPY <<EOF /x\n${Math.random()}\nEOF\n`,
        '--output',
        `type=image,name=${stand.host}/taken,push=true`,
      );
    const uploads: readonly [name: string, start: RequestListener, error: RegExp][] = [
      ['no place to send it to', send('', {}, 202), /InvalidArgument: .*has no location/],
      ['a place that is none', send('', { location: 'http://[' }, 202), /InvalidArgument: .*has no location/],
      ['a circle', circle, CIRCLE],
      ['nobody there', send('', { location: 'http://127.0.0.1:1/upload' }, 202), /127\.0\.0\.1:1.*refused/],
      ['an answer that never ends', (_, response) => endless(response.writeHead(500)), /500 Internal Server Error/],
    ];
    for (const [name, start, error] of uploads) {
      stand.routes.set('/v2/', send('{}'));
      stand.routes.set('*', (request, response) => {
        if (request.method === 'HEAD') response.writeHead(404).end();
        else {
          request.resume();
          start(request, response);
        }
      });
      const { code, stderr } = await push();
      assert.notEqual(code, 0, name);
      assert.match(stderr, error, name);
    }
    await stand.nothingIsLeft();
  });

  void test('servers that fall silent, until the client gives up', async () => {
    const silences: [string, () => void, string, string][] = [
      ['manifest', () => image({ manifest: () => silent }), '/v2/lies/manifests/latest', fromLies()],
      ['layer', () => image({ layer: () => silent }), '/v2/lies/blobs/', fromLies()],
      ['file', () => stand.routes.set('/file', silent), '/file', `FROM scratch\nADD ${stand.url}/file /\n`],
      ['git', () => stand.routes.set('*', silent), '/x.git/info/refs', `FROM scratch\nADD ${stand.url}/x.git#main /\n`],
    ];
    for (const [name, prepare, path, dockerfile] of silences) {
      stand.routes.clear();
      stand.asked.length = 0;
      prepare();
      const args = stand.context({ Dockerfile: dockerfile });
      const { code } = await stand.giveUp(name, () => stand.asked.some((asked) => asked.includes(path)), args);
      assert.notEqual(code, 0, name);
    }
    await stand.nothingIsLeft();
  });

  void test('git servers that lie', async () => {
    const packet = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text;
    const refs = (lines: readonly string[]): string =>
      `${packet('# service=git-upload-pack\n')}0000${lines.map(packet).join('')}0000`;
    const type = { 'content-type': 'application/x-git-upload-pack-advertisement' };
    const commit = '1'.repeat(40);
    const add = (name: string): string => `FROM scratch\nADD ${stand.url}/${name.replaceAll(' ', '-')}.git#main /\n`;
    const answers: readonly [name: string, answer: RequestListener, error: RegExp][] = [
      ['a circle', (request, response) => void response.writeHead(302, { location: request.url ?? '' }).end(), GIT],
      ['nonsense', send('nonsense', type), GIT],
      ['no such branch', send(refs([`${commit} refs/heads/other\n`]), type), /repository does not contain ref main/],
      ['a commit that is none', send(refs([`${commit} HEAD\0\n`, `${commit} refs/heads/main\n`]), type), GIT],
      [
        'an option',
        send(refs([`${commit} refs/heads/--upload-pack=x\n`]), type),
        /repository does not contain ref main/,
      ],
    ];
    for (const [name, answer, error] of answers) {
      stand.routes.set('*', answer);
      const { code, stderr } = await stand.build(add(name));
      assert.notEqual(code, 0, name);
      assert.match(stderr, error, name);
    }
    let sent = 0;
    stand.routes.set('*', (_, response) => {
      response.writeHead(200, type).on('drain', () => sent++);
      endless(response);
    });
    const endlessly = stand.context({ Dockerfile: add('an endless list') });
    assert.notEqual((await stand.giveUp('the list goes on', () => sent > 20, endlessly)).code, 0);
    await stand.nothingIsLeft();
  });

  void test('it stops and leaves nothing behind', () => {
    // Node waits for whoever looks inside.
    stand.inspector.close();
    return stand.daemon.stopWithoutLeaks();
  });
});
