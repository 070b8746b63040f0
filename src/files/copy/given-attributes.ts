import { chmodSync, lchownSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { fsPath } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { copyKeptRecords, readXattrs, setTimesOf, writeXattrs } from '../attributes.ts';
import type { Owner } from './make-dirs.ts';
import type { ModeChange } from './mode-change.ts';

/** What a copy has that its source has not; undefined: as in the source. */
export interface GivenAttributes {
  readonly owner: Owner | undefined;
  readonly newMode: ModeChange | undefined;
  readonly timestampNs: bigint | undefined;
  /** What becomes of ids of owners that are taken from the source; undefined: they stay. */
  readonly ownerId: ((id: number) => number) | undefined;
  /** What Windows says of the files beside: it counts where both trees are of Windows. */
  readonly keepsRecords: boolean;
}

function modeOf(stats: BigIntStats, { newMode }: GivenAttributes): number {
  const mode = Number(stats.mode) & 0o7777;
  return newMode === undefined ? mode : newMode(mode, stats.isDirectory()) & 0o7777;
}

function sourceOwner({ uid, gid }: BigIntStats, { ownerId = (id) => id }: GivenAttributes): Owner {
  return { uid: ownerId(Number(uid)), gid: ownerId(Number(gid)) };
}

/** Owner before mode, which chown(2) takes set-id bits from, and before capabilities, which it drops. */
export function giveAttributes(
  source: ByteString,
  target: ByteString,
  stats: BigIntStats,
  given: GivenAttributes,
): void {
  const { owner, timestampNs } = given;
  const { uid, gid } = owner ?? sourceOwner(stats, given);
  lchownSync(fsPath(target), uid, gid);
  if (!stats.isSymbolicLink()) chmodSync(fsPath(target), modeOf(stats, given));
  writeXattrs(target, readXattrs(source));
  if (given.keepsRecords) copyKeptRecords(source, target);
  setTimesOf(target, stats, timestampNs);
}
