/** What users read when a build cannot be: the very words of upstream's client and daemon. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const SCRATCH = 'FROM scratch\nCOPY Dockerfile /\n';
/** Nobody listens there. */
const NOWHERE = '127.0.0.1:1';

interface Refusal {
  readonly of: string;
  readonly dockerfile?: string;
  readonly args?: readonly string[];
  /** After `error: `; a pattern where the text is the machine's. */
  readonly says: string | RegExp;
}

const failed = (text: string): string => `failed to solve: ${text}`;

const REFUSALS: readonly Refusal[] = [
  {
    of: 'an entitlement that is not granted',
    args: ['--allow', 'security.insecure'],
    says: failed('granting entitlement security.insecure is not allowed by build daemon configuration'),
  },
  {
    of: 'a step without its entitlement',
    dockerfile: 'FROM scratch\nRUN --network=host true\n',
    says: failed('failed to load LLB: network.host is not allowed'),
  },
  { of: 'an unknown entitlement', args: ['--allow', 'zz'], says: 'unknown entitlement zz' },
  { of: 'an unknown exporter', args: ['--output', 'type=nope'], says: failed('exporter "nope" could not be found') },
  {
    of: 'an unknown subrequest',
    args: ['--opt', 'requestid=frontend.nope'],
    says: failed('unsupported request frontend.nope'),
  },
  { of: 'an unknown stage', args: ['--opt', 'target=nope'], says: failed('target stage "nope" could not be found') },
  {
    of: 'a platform that is none',
    args: ['--opt', 'platform=foo/bar/baz/qux'],
    says: failed(
      'failed to parse target platform foo/bar/baz/qux: "foo/bar/baz/qux": cannot parse platform specifier: invalid argument',
    ),
  },
  {
    of: 'a Dockerfile that is not there',
    args: ['--opt', 'filename=nope'],
    says: failed('failed to read dockerfile: open nope: no such file or directory'),
  },
  {
    of: 'a frontend without a name',
    args: ['--opt', 'build-arg:BUILDKIT_SYNTAX='],
    says: failed('failed with build-arg:BUILDKIT_SYNTAX = : invalid context name : invalid reference format'),
  },
  {
    of: 'a secret that is not there',
    dockerfile: 'FROM scratch\nRUN --mount=type=secret,id=foo,required=true true\n',
    says: failed('secret foo: not found'),
  },
  {
    of: 'an agent that is not there',
    dockerfile: 'FROM scratch\nRUN --mount=type=ssh,required=true true\n',
    says: failed('no SSH key "" forwarded from the client'),
  },
  {
    of: 'a user who is not there',
    dockerfile: 'FROM scratch\nCOPY --chown=nosuch:user Dockerfile /\n',
    says: failed('invalid user index: -1'),
  },
  {
    of: 'a file that is not there',
    dockerfile: 'FROM scratch\nCOPY nope /\n',
    says: /^failed to solve: failed to compute cache key: failed to calculate checksum of ref \S+: "\/nope": not found$/,
  },
  {
    of: 'a registry that is not there',
    dockerfile: `# syntax=${NOWHERE}/none:x\nFROM scratch\n`,
    says: /^failed to solve: failed to resolve source metadata for 127\.0\.0\.1:1\/none:x: failed to do request: Head /,
  },
  {
    of: 'a push to nowhere',
    args: ['--output', `type=image,name=${NOWHERE}/x,push=true`],
    says: /^failed to solve: failed to push 127\.0\.0\.1:1\/x: failed to do request: Head /,
  },
  {
    of: 'what is malformed, with a code that upstream does not give',
    args: ['--output', 'type=image,compression=nope'],
    says: failed('InvalidArgument: unsupported compression type nope'),
  },
];

void describe('refusals', { skip: cannotRun, timeout: 200_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;

  before(async () => {
    scratch = await makeScratch();
    daemon = await Daemon.start(scratch.folder);
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  const errorOf = async (args: readonly string[]): Promise<string> => {
    const { code, stderr } = await daemon.buildctl([], args);
    assert.equal(code, 1, stderr);
    const said = stderr.split('\n').filter((line) => line.startsWith('error: '));
    return said.join('\n').replace('error: ', '');
  };
  const matches = (said: string, expected: string | RegExp): void => {
    if (typeof expected === 'string') assert.equal(said, expected);
    else assert.match(said, expected);
  };

  for (const [index, { of, dockerfile = SCRATCH, args = [], says }] of REFUSALS.entries()) {
    void test(`of ${of}`, async () => {
      const context = writeContext(join(scratch.folder, `${index}`), { Dockerfile: dockerfile });
      matches(await errorOf([...context, ...args]), says);
    });
  }

  void test('of frontends that are not there, and of no directories', async () => {
    assert.equal(await errorOf(['build', '--frontend', 'nope']), failed('invalid frontend: nope'));
    const nothing = ['build', '--frontend', 'dockerfile.v0'];
    assert.equal(await errorOf(nothing), failed('failed to read dockerfile: no local sources enabled'));
    const folder = join(scratch.folder, 'alone');
    mkdirSync(folder);
    writeFileSync(join(folder, 'Dockerfile'), SCRATCH);
    assert.equal(
      await errorOf([...nothing, '--local', `dockerfile=${folder}`]),
      failed('NotFound: no access allowed to dir "context"'),
    );
  });

  void test('of filters', async () => {
    const why = 'filters: parse error: [x==]: expected value or quoted: invalid argument';
    const failure = (what: string): string => `failed to parse ${what} filters [x==]: ${why}`;
    assert.equal(await errorOf(['prune', '--filter', 'x==']), failure('prune'));
    assert.equal(
      await errorOf(['du', '--filter', 'x==']),
      `failed to call diskusage: InvalidArgument: ${failure('diskusage')}`,
    );
    assert.equal(
      await errorOf(['debug', 'workers', '--filter', 'x==']),
      `failed to list workers: InvalidArgument: ${why}`,
    );
  });

  void test('and nothing stays in use', async () => {
    await daemon.stopWithoutLeaks();
  });
});
