/** What devices of the host bring into a container's configuration. */
import { statSync } from 'node:fs';
import { BuildError, Code } from '../../base/index.ts';
import type { ContainerEdits } from '../cdi/index.ts';
import type { OciDevice } from './devices.ts';

export interface OciHook {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  readonly timeout?: number;
}

export interface DeviceAccess {
  readonly allow: true;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  readonly access: string;
}

type Node = ContainerEdits['deviceNodes'][number];

interface Numbers {
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
}

/** As the host has it, where the description does not say. */
function numbersOf({ hostPath, type, major, minor }: Node): Numbers {
  if (type !== undefined && major !== undefined && minor !== undefined) return { type, major, minor };
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(hostPath);
  } catch (error) {
    throw new BuildError(Code.NotFound, `CDI device injection failed: failed to stat device ${hostPath}`, {
      cause: error,
    });
  }
  if (!stat.isCharacterDevice() && !stat.isBlockDevice()) {
    throw new BuildError(Code.FailedPrecondition, `CDI device injection failed: ${hostPath} is not a device node`);
  }
  const rdev = BigInt(stat.rdev);
  // Linux' encoding of 64 bits: twelve of the major number lie low.
  return {
    type: stat.isBlockDevice() ? 'b' : 'c',
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & ~0xffn)),
  };
}

/** Device nodes with the access that the control group gives to them. */
export function deviceNodes(edits: ContainerEdits): { devices: OciDevice[]; access: DeviceAccess[] } {
  const devices: OciDevice[] = [];
  const access: DeviceAccess[] = [];
  for (const node of edits.deviceNodes) {
    const numbers = numbersOf(node);
    const { path, fileMode, uid, gid, permissions } = node;
    devices.push({
      path,
      ...numbers,
      ...(fileMode === undefined ? {} : { fileMode }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    access.push({ allow: true, ...numbers, access: permissions });
  }
  return { devices, access };
}

/** By the moment at which they run; undefined when there are none. */
export function deviceHooks(edits: ContainerEdits): Readonly<Record<string, readonly OciHook[]>> | undefined {
  if (edits.hooks.length === 0) return undefined;
  const hooks: Record<string, OciHook[]> = {};
  for (const { name, path, args, env, timeout } of edits.hooks) {
    (hooks[name] ??= []).push({
      path,
      ...(args.length === 0 ? {} : { args }),
      ...(env.length === 0 ? {} : { env }),
      ...(timeout === undefined ? {} : { timeout }),
    });
  }
  return hooks;
}

/** A variable of a device replaces the step's own. */
export function deviceEnvironment(env: readonly string[], edits: ContainerEdits): string[] {
  const names = new Set(edits.env.map((pair) => pair.slice(0, pair.indexOf('='))));
  return [...env.filter((pair) => !names.has(pair.split('=', 1)[0])), ...edits.env];
}
