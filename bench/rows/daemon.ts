import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { rmSync } from 'node:fs';
import { launch } from '../timed.ts';
import { dockerfileBuild, node } from '../stand.ts';
import type { Row } from '../row.ts';
import type { Stand } from '../stand.ts';
import { helloDockerfile } from './hello.ts';

const IDLE_MS = 3000;

/** Seconds from the start of the project's Node to its first line of a script: what no daemon on it can undercut. */
async function bareNode(stand: Stand): Promise<number> {
  const path = stand.path('first-line');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const start = performance.now();
  const script = `require('node:net').connect(${JSON.stringify(path)}).on('close', () => {})`;
  const child = launch({ command: node, args: ['-e', script], log: join(stand.folder, 'node.log') });
  const [socket] = (await once(server, 'connection')) as [{ destroy(): void }];
  const seconds = (performance.now() - start) / 1000;
  const ended = once(child, 'exit');
  socket.destroy();
  await ended;
  server.close();
  rmSync(path, { force: true });
  return seconds;
}

export const daemon: Row = {
  name: 'daemon',
  work: 'the daemon starts on a state folder that holds one small build',
  rounds: 15,
  figures: [
    { name: 'start to first answer', limit: 'bare Node connects to a socket' },
    { name: 'start to end of a cached build' },
    { name: 'memory, idle', unit: 'MB' },
  ],
  async prepare(stand) {
    const build = [...dockerfileBuild(stand.context('daemon', { Dockerfile: helloDockerfile('1', '2') }))];
    build.push(...stand.busybox);
    return {
      warm: (builder) => builder.build(build),
      async measure(builder) {
        await builder.stop();
        const answer = await builder.start();
        await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
        const idle = builder.memory().now;
        await builder.stop();
        const start = await builder.start();
        const cached = start + (await builder.build(build));
        return { 'start to first answer': answer, 'start to end of a cached build': cached, 'memory, idle': idle };
      },
      limit: async () => ({ 'start to first answer': await bareNode(stand) }),
    };
  },
};
