/** A frontend for the tests, to run in an image: the project's own for Dockerfiles, or what the option `do` says. */
import { readFileSync } from 'node:fs';
import { serveBuild } from '../../src/client/index.ts';
import { mkfile, scratch } from '../../src/llb/index.ts';
import { Definition } from '../../src/proto/ops.pb.ts';
import { BuildError, Code } from '../../src/base/index.ts';
import { dockerfileFrontend } from '../../src/frontends/index.ts';
import type { GatewayClient } from '../../src/frontends/types.ts';

type Result = Awaited<ReturnType<GatewayClient['solve']>>;

const file = (text: string) =>
  scratch()
    .file(mkfile('/told', 0o644, Buffer.from(text)))
    .marshal();

const doings: Record<string, (client: GatewayClient) => Promise<Result>> = {
  /** What it was told, as a file. */
  async tell(client) {
    const { opts, product, sessionId, workers, llbCaps } = client.buildOpts();
    const own = Definition.decode(readFileSync('/run/config/buildkit/metadata/frontend.bin'));
    const names = readFileSync('/proc/net/dev', 'utf8').match(/\w+(?=:)/g) ?? [];
    const told = {
      opts: Object.fromEntries(opts),
      product,
      hasSession: sessionId !== '',
      platforms: workers[0].platforms.length > 0,
      hasCaps: llbCaps.has('source.image'),
      workersInEnvironment: (JSON.parse(process.env['BUILDKIT_WORKERS'] ?? '[]') as unknown[]).length,
      ownOps: own.def.length,
      interfaces: names,
      inputs: [...(await client.inputs()).keys()],
    };
    const { ref } = await client.solve({ definition: file(JSON.stringify(told)) });
    return { ref, metadata: new Map([['frontend.toy', Buffer.from('done')]]) };
  },
  async input(client) {
    const definition = (await client.inputs()).get('given');
    const { ref } = await client.solve({ ...(definition && { definition }), evaluate: true });
    const text = Buffer.from((await ref?.readFile('/told')) ?? []).toString();
    return client.solve({ definition: file(`read ${text}`) });
  },
  /** The same image again, deeper and deeper. */
  async nest(client) {
    const { opts } = client.buildOpts();
    const left = Number(opts.get('levels') ?? 0);
    if (left === 0) return client.solve({ definition: file('the bottom') });
    const frontendOpt = new Map([...opts, ['levels', String(left - 1)]]);
    return client.solve({ frontend: 'gateway.v0', frontendOpt });
  },
  async fail() {
    throw new BuildError(Code.FailedPrecondition, 'the frontend does not want to');
  },
  async 'return and fail'(client) {
    process.exitCode = 7;
    return client.solve({ definition: file('never seen') });
  },
  /** Hangs up, and takes its time to end. */
  async linger(client) {
    process.once('exit', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500));
    return client.solve({ definition: file('said before') });
  },
  async wait() {
    await new Promise((resolve) => setTimeout(resolve, 600_000));
    return { metadata: new Map() };
  },
};

await serveBuild(async (client, signal) => {
  const what = client.buildOpts().opts.get('do');
  if (what === undefined) return dockerfileFrontend(client, signal);
  const work = doings[what];
  if (work === undefined) throw new BuildError(Code.InvalidArgument, `nothing is known of ${what}`);
  return work(client);
}).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
process.exit();
