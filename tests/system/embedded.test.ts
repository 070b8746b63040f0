import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run } from './process.ts';
import { cannotRun, makeScratch, project } from './scratch.ts';
import type { Scratch } from './scratch.ts';

/** Runs in a mount namespace of its own, whose default root and socket folder are new: nobody else's daemon is met or disturbed. */
const ALONE = `unset BUILDKIT_HOST
made=
trap 'for folder in $made; do umount -l "$folder"; rmdir "$folder"; done' EXIT
for folder in /var/lib/buildkit /run/buildkit /etc/buildkit; do
  [ -d "$folder" ] || { mkdir "$folder" && made="$made $folder"; } || exit 98
  mount -t tmpfs none "$folder" || exit 99
done
build() {
  "$0" build --progress plain --frontend dockerfile.v0 --local context="$context" --local dockerfile="$context" "$@"
}
context=$1
shift
build --output type=local,dest="$context/../out" "$@" || exit 1
build "$@" || exit 2
build --opt target=missing "$@"
echo "failed with $?"
"$0" debug info
echo "alone with $?"
mount -o remount,ro /var/lib/buildkit
build
echo "without a place with $?"`;

void describe('buildctl with a daemon inside', { skip: cannotRun, timeout: 180_000 }, () => {
  let scratch: Scratch;
  before(async () => {
    scratch = await makeScratch();
  });
  after(() => scratch?.remove());

  void test('builds, finds its cache again, and tells errors as a daemon beside it does', async () => {
    const context = join(scratch.folder, 'context');
    mkdirSync(context);
    const lines = ['FROM busybox AS base', 'RUN echo inside > /said', 'FROM scratch', 'COPY --from=base /said /', ''];
    writeFileSync(join(context, 'Dockerfile'), lines.join('\n'));
    const args = ['bash', '-c', ALONE, join(project, 'bin/buildctl'), context, ...scratch.busybox];
    const { code, stdout, stderr } = await run('unshare', ['--mount', ...args], 120_000);
    assert.equal(code, 0, stderr);
    assert.equal(readFileSync(join(scratch.folder, 'out/said'), 'utf8'), 'inside\n');
    assert.match(stderr, /RUN echo inside > \/said\n#\d+ CACHED/);
    assert.match(stderr, /error: failed to solve: .*target stage "missing" could not be found/);
    assert.match(stderr, /error: failed to call info: Unavailable: connection error: .*no such file or directory/);
    assert.match(stderr, /could not lock \/var\/lib\/buildkit\/buildkitd\.lock: open .*: read-only file system\n$/);
    assert.match(stdout, /failed with 1\nalone with 1\nwithout a place with 1\n/);
  });
});
