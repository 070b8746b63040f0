/** Definitions that no client should send: most ops are nearly right, so that they get past the first check. */
import { createHash } from 'node:crypto';
import {
  BuildOp,
  Definition,
  DiffOp,
  ExecOp,
  FileAction,
  MergeOp,
  Mount,
  Op,
  OpMetadata,
} from '../../src/proto/ops.pb.ts';
import type { CacheSharingOpt, MountContentCache, MountType, NetMode, SecurityMode } from '../../src/proto/ops.pb.ts';
import type { Random } from './random.ts';

const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Index of one of `count` inputs, mostly. */
function inputIndex(r: Random, count: number): bigint {
  return r.chance(0.85) && count > 0 ? BigInt(r.below(count)) : r.number();
}

function sourceOp(r: Random): Op['op'] {
  const identifier = r.pick([
    () => 'local://context',
    () => 'docker-image://127.0.0.1:1/x:y',
    () => 'docker-image://UPPER CASE',
    () => `docker-image://127.0.0.1:1/x@sha256:${'0'.repeat(r.below(70))}`,
    () => 'oci-layout://store@sha256:zz',
    () => 'git://127.0.0.1:1/x.git#main:..',
    () => 'https://127.0.0.1:1/file',
    () => `unknown://${r.text()}`,
    () => `local://${r.text()}`,
    () => r.text(),
  ])();
  const keys = [
    'local.session',
    'local.includepattern',
    'local.followpaths',
    'local.differ',
    'image.layerlimit',
    'http.checksum',
    'http.uid',
  ];
  const attrs = new Map(r.some(3, () => [r.pick(keys), r.pick(['["a"]', '{}', 'null', '[1', r.text()])] as const));
  return { $case: 'source', value: { identifier, attrs } };
}

function mount(r: Random, inputs: number, root: boolean): Mount {
  return Mount.fromPartial({
    input: inputIndex(r, inputs),
    dest: root ? '/' : r.text(),
    selector: r.chance(0.3) ? r.text() : '',
    output: r.chance(0.6) ? 0n : r.number(),
    readonly: r.chance(0.2),
    mountType: (root ? 0 : r.below(7)) as MountType,
    contentCache: r.below(4) as MountContentCache,
    ...(r.chance(0.5) ? { cacheOpt: { ID: r.text(), sharing: r.below(4) as CacheSharingOpt } } : {}),
    ...(r.chance(0.3) ? { TmpfsOpt: { size: r.number() } } : {}),
    ...(r.chance(0.3)
      ? { secretOpt: { ID: r.text(), uid: 1, gid: 1, mode: r.below(0o10000), optional: r.chance(0.5) } }
      : {}),
    ...(r.chance(0.3) ? { SSHOpt: { ID: r.text(), optional: true } } : {}),
  });
}

function execOp(r: Random, inputs: number): Op['op'] {
  const value = ExecOp.fromPartial({
    mounts: [mount(r, inputs, r.chance(0.9)), ...r.some(3, () => mount(r, inputs, false))],
    network: r.below(5) as NetMode,
    security: r.below(3) as SecurityMode,
    ...(r.chance(0.9)
      ? {
          meta: {
            args: r.chance(0.8) ? ['/none', ...r.some(2, () => r.text())] : [],
            env: r.some(2, () => r.text()),
            cwd: r.pick(['/', r.text()]),
            user: r.pick(['', r.text()]),
            cgroupParent: r.pick(['', r.text()]),
            hostname: r.pick(['', r.text()]),
            extraHosts: r.some(1, () => ({ Host: r.text(), IP: r.text() })),
            ulimit: r.some(1, () => ({ Name: r.text(), Soft: r.number(), Hard: r.number() })),
            validExitCodes: r.some(2, () => r.below(400)),
          },
        }
      : {}),
  });
  return { $case: 'exec', value };
}

function fileAction(r: Random, inputs: number): FileAction {
  const path = r.chance(0.6) ? `/${r.below(5)}` : r.text();
  const owner = r.chance(0.3)
    ? {
        user: {
          user: r.pick([
            { $case: 'byID', value: r.below(2 ** 31) } as const,
            { $case: 'byName', value: { name: r.text(), input: r.number() } } as const,
          ]),
        },
      }
    : undefined;
  const action = r.pick([
    { $case: 'mkfile', value: { path, mode: r.below(0o10000), data: r.bytes(50), timestamp: r.number(), owner } },
    { $case: 'mkdir', value: { path, mode: r.below(0o10000), makeParents: r.chance(0.5), timestamp: -1n, owner } },
    { $case: 'rm', value: { path, allowNotFound: r.chance(0.5), allowWildcard: r.chance(0.5) } },
    { $case: 'symlink', value: { oldpath: r.text(), newpath: path, timestamp: -1n, owner } },
    {
      $case: 'copy',
      value: {
        src: r.text(),
        dest: path,
        mode: -1,
        allowWildcard: r.chance(0.7),
        allowEmptyWildcard: r.chance(0.5),
        includePatterns: r.some(2, () => r.text()),
        excludePatterns: r.some(2, () => r.text()),
        modeStr: r.pick(['', 'a+z', r.text()]),
        timestamp: -1n,
        dirCopyContents: r.chance(0.5),
        attemptUnpackDockerCompatibility: r.chance(0.5),
        createDestPath: true,
        owner,
      },
    },
    undefined,
  ] as const);
  return FileAction.fromPartial({
    input: inputIndex(r, inputs),
    secondaryInput: r.chance(0.5) ? -1n : inputIndex(r, inputs),
    output: r.chance(0.7) ? 0n : r.number(),
    action: action as FileAction['action'],
  });
}

function anyOp(r: Random, inputs: number, depth: number): Op['op'] {
  return r.pick([
    () => sourceOp(r),
    () => execOp(r, inputs),
    () => ({ $case: 'file', value: { actions: r.some(4, () => fileAction(r, inputs + 1)) } }) as const,
    () => ({ $case: 'file', value: { actions: [fileAction(r, inputs)] } }) as const,
    () =>
      ({
        $case: 'merge',
        value: MergeOp.fromPartial({ inputs: r.some(5, () => ({ input: inputIndex(r, inputs) })) }),
      }) as const,
    () =>
      ({
        $case: 'diff',
        value: DiffOp.fromPartial({
          ...(r.chance(0.9) ? { lower: { input: inputIndex(r, inputs) } } : {}),
          ...(r.chance(0.9) ? { upper: { input: inputIndex(r, inputs) } } : {}),
        }),
      }) as const,
    () =>
      ({
        $case: 'build',
        value: BuildOp.fromPartial({
          builder: r.pick([-1n, r.number()]),
          inputs: new Map(
            r.some(2, () => [r.pick(['buildkit.llb.definition', r.text()]), { input: inputIndex(r, inputs) }] as const),
          ),
          attrs: new Map(r.some(1, () => [r.pick(['buildkit.llb.definition', r.text()]), r.text()] as const)),
          ...(r.chance(0.6) ? { def: depth > 2 ? {} : hostileDefinition(r, depth + 1) } : {}),
        }),
      }) as const,
    () => ({ $case: 'passthrough', value: { id: r.text(), outputs: r.some(3, () => r.number()) } }) as const,
    () => undefined,
  ])() as Op['op'];
}

export function hostileDefinition(r: Random, depth = 0): Definition {
  const def: Buffer[] = [];
  const known: string[] = [];
  const add = (op: Op): void => {
    const right = Buffer.from(Op.encode(op).finish());
    const bytes = r.chance(0.04) ? r.mutate(right) : right;
    def.push(bytes);
    known.push(digestOf(bytes));
  };
  // Something that works to begin with, so that what follows is looked at.
  add(
    Op.fromPartial({
      op: {
        $case: 'file',
        value: {
          actions: [
            FileAction.fromPartial({
              input: -1n,
              secondaryInput: -1n,
              output: 0n,
              action: {
                $case: 'mkfile',
                value: { path: '/f', mode: 0o644, data: Buffer.from(String(r.below(50))), timestamp: -1n },
              },
            }),
          ],
        },
      },
    }),
  );
  for (let i = r.below(6); i > 0; i--) {
    const inputs = r.some(3, () => ({
      digest: r.chance(0.95) ? r.pick(known) : r.text(),
      index: r.chance(0.9) ? 0n : r.number(),
    }));
    add(
      Op.fromPartial({
        inputs,
        op: anyOp(r, inputs.length, depth) ?? undefined,
        ...(r.chance(0.1)
          ? { platform: { OS: r.text(), Architecture: r.text(), OSFeatures: r.some(2, () => r.text()) } }
          : {}),
      }),
    );
  }
  if (r.chance(0.95))
    add(Op.fromPartial({ inputs: [{ digest: known.at(-1) as string, index: r.chance(0.9) ? 0n : r.number() }] }));
  const metadata = new Map(
    known
      .filter(() => r.chance(0.8))
      .map((digest) => [
        digest,
        OpMetadata.fromPartial({
          ignoreCache: r.chance(0.3),
          caps: r.chance(0.05) ? new Map([[r.text(), true]]) : new Map(),
          description: new Map(r.some(1, () => [r.text(), r.text()] as const)),
        }),
      ]),
  );
  return Definition.fromPartial({
    def: r.chance(0.03) ? [] : def,
    metadata,
    ...(r.chance(0.1)
      ? {
          Source: {
            infos: [],
            locations: new Map([[known[0] as string, { locations: [{ sourceIndex: r.below(9), ranges: [] }] }]]),
          },
        }
      : {}),
  });
}
