/** What Dockerfiles and options of a build can ask for, each run for real. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { mustRun } from './process.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

void describe('dockerfile', { skip: cannotRun, timeout: 200_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let builds = 0;

  /** Builds the files, of which one is a Dockerfile; gives the folder of the result and what was said. */
  async function build(
    files: Readonly<Record<string, string>>,
    ...more: string[]
  ): Promise<{ out: string; stderr: string }> {
    const name = join(scratch.folder, `build-${++builds}`);
    const out = `${name}-out`;
    const args = [...writeContext(name, files), ...scratch.busybox, '--output', `type=local,dest=${out}`, ...more];
    const { code, stderr } = await daemon.buildctl([], args);
    assert.equal(code, 0, stderr);
    return { out, stderr };
  }
  const read = (folder: string, path: string): string => readFileSync(join(folder, path), 'utf8');

  before(async () => {
    scratch = await makeScratch();
    daemon = await Daemon.start(scratch.folder);
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  void test('arguments, targets, users, folders and heredocs', async () => {
    const Dockerfile = `ARG BASE=busybox
FROM \${BASE} AS first
ARG WORD=unset
ENV SAID=\${WORD}
WORKDIR /work
RUN <<EOF
echo "$SAID in $PWD" > said
chown nobody said
EOF
USER nobody
RUN id -u > /tmp/id
COPY --chmod=600 <<EOF /made/inline
text
EOF
FROM scratch AS result
COPY --from=first /work/said /tmp/id /
COPY --from=first /made/inline /renamed
FROM result AS never
RUN ["/this/cannot/run"]
`;
    const { out } = await build({ Dockerfile }, '--opt', 'target=result', '--opt', 'build-arg:WORD=hello');
    assert.equal(read(out, 'said'), 'hello in /work\n');
    assert.equal(read(out, 'id'), '65534\n');
    assert.equal(read(out, 'renamed'), 'text\n');
  });

  void test('copies: ignored files, patterns, folders, links, archives', async () => {
    const { out } = await build({
      Dockerfile:
        'FROM scratch\nCOPY . /all/\nCOPY a*.txt /matched/\nCOPY --link sub /linked/\nADD --chown=7:8 sub/deep /deep/\n',
      '.dockerignore': 'ignored\n**/*.log\n!keep.log\n',
      'a1.txt': '1',
      'a2.txt': '2',
      'b.txt': 'b',
      ignored: 'x',
      'keep.log': 'k',
      'sub/drop.log': 'd',
      'sub/deep/file': 'f',
    });
    assert.equal(existsSync(join(out, 'all/ignored')), false);
    assert.equal(existsSync(join(out, 'all/sub/drop.log')), false);
    assert.equal(read(out, 'all/keep.log'), 'k');
    assert.equal(read(out, 'matched/a1.txt') + read(out, 'matched/a2.txt'), '12');
    assert.equal(existsSync(join(out, 'matched/b.txt')), false);
    assert.equal(read(out, 'linked/deep/file') + read(out, 'deep/file'), 'ff');
  });

  void test('a step sees one name of a copied file: gzip and xz leave others alone', async () => {
    await build({ Dockerfile: 'FROM busybox\nCOPY . /app/\nRUN test "$(stat -c %h /app/file)" = 1\n', file: 'x' });
  });

  void test('mounts of steps: bind, tmpfs, and what was there before them', async () => {
    const { out } = await build({
      Dockerfile: `FROM busybox AS tools
RUN echo tool > /tool
FROM busybox AS run
RUN --mount=type=bind,target=/src,rw --mount=type=bind,from=tools,source=/tool,target=/t/tool --mount=type=tmpfs,target=/scratch \\
  cat /src/file /t/tool > /result && echo gone > /src/file && touch /scratch/x && grep -c ' /scratch tmpfs' /proc/mounts >> /result
RUN test ! -e /src/file && test ! -e /scratch/x
FROM scratch
COPY --from=run /result /
`,
      file: 'content\n',
    });
    assert.equal(read(out, 'result'), 'content\ntool\n1\n');
  });

  void test('an agent of the client is there for the step that asks for it', async () => {
    const socket = join(scratch.folder, 'agent');
    const agent = createServer().listen(socket);
    try {
      const Dockerfile = `FROM busybox AS run
RUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo there > /agent
RUN test -z "$SSH_AUTH_SOCK" && echo gone >> /agent
FROM scratch
COPY --from=run /agent /
`;
      const { out } = await build({ Dockerfile }, '--ssh', `default=${socket}`);
      assert.equal(read(out, 'agent'), 'there\ngone\n');
    } finally {
      agent.close();
    }
  });

  void test('a step sees itself alone: processes, host name, network when asked', async () => {
    const { out } = await build({
      Dockerfile: `FROM busybox AS run
RUN echo $$ > /pid; cat /proc/1/cmdline | tr '\\0' ' ' > /first; hostname > /name
RUN --network=none ip -o link | grep -vc LOOPBACK > /interfaces; true
FROM scratch
COPY --from=run /pid /first /name /interfaces /
`,
    });
    assert.equal(read(out, 'pid'), '1\n');
    assert.match(read(out, 'first'), /^\/bin\/sh -c /);
    assert.equal(read(out, 'name'), 'buildkitsandbox\n');
    // Tunnel devices of some kernels come with every namespace; real ones do not.
    assert.ok(Number(read(out, 'interfaces')) < 10);
  });

  void test('several exports of one build', async () => {
    const tar = join(scratch.folder, 'files.tar');
    const docker = join(scratch.folder, 'docker.tar');
    const exports = ['--output', `type=tar,dest=${tar}`, '--output', `type=docker,name=example/x:1,dest=${docker}`];
    const { out } = await build({ Dockerfile: 'FROM scratch\nCOPY file /\n', file: 'content' }, ...exports);
    assert.equal(read(out, 'file'), 'content');
    assert.equal(await mustRun('tar', ['-xOf', tar, 'file']), 'content');
    const [{ RepoTags, Layers }] = JSON.parse(await mustRun('tar', ['-xOf', docker, 'manifest.json']));
    assert.deepEqual(RepoTags, ['example/x:1']);
    assert.equal(Layers.length, 1);
  });

  void test('named contexts: another folder of the client', async () => {
    const other = join(scratch.folder, 'other');
    writeContext(other, { file: 'from elsewhere' });
    const named = ['--local', `elsewhere=${other}`, '--opt', 'context:elsewhere=local:elsewhere'];
    const { out } = await build({ Dockerfile: 'FROM scratch\nCOPY --from=elsewhere file /\n' }, ...named);
    assert.equal(read(out, 'file'), 'from elsewhere');
  });

  void test('remarks of the linter and its subrequest', async () => {
    const files = { Dockerfile: 'from busybox as Mixed\nRUN true\n' };
    assert.match(
      (await build(files)).stderr,
      /WARN: ConsistentInstructionCasing|WARN: FromAsCasing|WARN: StageNameCasing/,
    );
    const context = writeContext(join(scratch.folder, 'lint'), files);
    const { code, stdout, stderr } = await daemon.buildctl(
      [],
      [
        ...context,
        ...scratch.busybox,
        '--opt',
        'requestid=frontend.lint',
        '--opt',
        'frontend.caps=moby.buildkit.frontend.subrequests',
      ],
    );
    assert.equal(code, 0, stderr);
    assert.match(stdout, /StageNameCasing/);
  });

  void test('what this daemon does not do is refused, not left out', async () => {
    const refused = async (Dockerfile: string, why: RegExp, ...more: string[]): Promise<void> => {
      const context = writeContext(join(scratch.folder, 'refused'), { Dockerfile });
      const { code, stderr } = await daemon.buildctl([], [...context, ...scratch.busybox, ...more]);
      assert.notEqual(code, 0, stderr);
      assert.match(stderr, why);
    };
    const caches = {
      s3: 'bucket=b,region=r',
      gha: 'url=http://127.0.0.1:1,token=t',
      azblob: 'account_url=http://127.0.0.1:1',
    };
    for (const [type, attrs] of Object.entries(caches)) {
      const why = new RegExp(`cache exporter "?${type}"?`);
      await refused('FROM scratch\nCOPY . /\n', why, '--export-cache', `type=${type},${attrs}`);
    }
  });

  void test('a syntax directive can be set aside', async () => {
    const files = { Dockerfile: '# syntax=docker/dockerfile:1\nFROM scratch\nCOPY file /\n', file: 'content' };
    const { out } = await build(files, '--opt', 'build-arg:BUILDKIT_SYNTAX=dockerfile.v0');
    assert.equal(read(out, 'file'), 'content');
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
