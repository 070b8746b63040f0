import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { noProgress } from '../../base/index.ts';
import { provideAgents, provideSecrets, Session, SessionRegistry } from '../../session/index.ts';
import type { JobContext } from '../../solver/types.ts';
import { secretMountable } from './secrets.ts';
import { sshMountable } from './ssh-mount.ts';

const isRoot = process.getuid?.() === 0;
const top = mkdtempSync(join(tmpdir(), 'client-mounts-'));
const sessions = new SessionRegistry();
const session = new Session();
const agent = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.pipe(socket);
});
const abort = new AbortController();
const context = {
  signal: abort.signal,
  progress: noProgress,
  sessions: () => [session.id],
} as unknown as JobContext;
let running: Promise<unknown> = Promise.resolve();

before(async () => {
  agent.listen(join(top, 'agent'));
  await once(agent, 'listening');
  session.allow(await provideSecrets(new Map([['s', { value: Buffer.from('secret') }]])));
  session.allow(provideAgents(new Map([['default', { socket: join(top, 'agent'), raw: true }]])));
  running = session.run(async (pairs) => {
    const [ours, theirs] = duplexPair();
    const metadata = new Map<string, string[]>();
    for (const [key, value] of pairs) metadata.set(key, [...(metadata.get(key) ?? []), value]);
    void sessions.handle(metadata, ours);
    return theirs;
  });
});

after(async () => {
  await sessions.close();
  await running.catch(() => {});
  agent.close();
  rmSync(top, { recursive: true, force: true });
});

const options = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, optional: false };

void test('a secret is a file on a tmpfs, with its owner and mode', { skip: !isRoot && 'needs root' }, async (t) => {
  const mountable = await secretMountable(sessions, { ...options, ID: 's', uid: 7, gid: 8, mode: 0o440 }, context);
  let set;
  try {
    set = await mountable?.mounts({ readonly: true });
  } catch (error) {
    t.skip(`cannot mount here: ${String(error)}`);
    return;
  }
  const [bind] = set?.mounts ?? [];
  assert.ok(bind);
  assert.deepEqual(bind.options, ['ro', 'rbind', 'nodev', 'nosuid', 'noexec']);
  const { uid, gid, mode } = statSync(bind.source);
  assert.deepEqual([uid, gid, mode & 0o777], [7, 8, 0o440]);
  assert.equal(readFileSync(bind.source, 'utf8'), 'secret');
  assert.notEqual(statSync(dirname(bind.source)).dev, statSync(tmpdir()).dev);
  await set?.release();
  assert.equal(existsSync(dirname(bind.source)), false);
});

void test('an agent is a socket that reaches the client, for as long as the mount is there', async () => {
  const mountable = await sshMountable(sessions, { ...options, ID: '', mode: 0o600 }, context);
  const set = await mountable?.mounts({ readonly: false });
  const [bind] = set?.mounts ?? [];
  assert.ok(bind);
  assert.equal(statSync(bind.source).mode & 0o777, 0o600);
  const socket = connect({ path: bind.source, allowHalfOpen: true });
  socket.end('ping');
  assert.equal(await text(socket), 'ping');
  const open = connect(bind.source);
  open.on('error', () => {});
  await once(open, 'connect');
  const closed = once(open, 'close');
  await set?.release();
  open.resume();
  await closed;
  assert.equal(existsSync(dirname(bind.source)), false);
});

void test('an agent that the client does not have', async () => {
  const none = { ...options, ID: 'none', mode: 0o600 };
  await assert.rejects(sshMountable(sessions, none, context), /unset ssh forward key none/);
  assert.equal(await sshMountable(sessions, { ...none, optional: true }, context), undefined);
});
