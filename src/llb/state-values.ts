/** What a state carries along for the steps that follow. Values are never changed, only replaced. */
import type { Platform } from '../oci/index.ts';

export type NetworkMode = 'sandbox' | 'host' | 'none';
export type SecurityModeName = 'sandbox' | 'insecure';

export interface Ulimit {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

export interface StateValues {
  readonly dir: string;
  /** In the order in which they were set last. */
  readonly env: ReadonlyMap<string, string>;
  readonly args: readonly string[];
  readonly user: string;
  readonly hostname: string;
  readonly cgroupParent: string;
  readonly extraHosts: readonly { readonly host: string; readonly ip: string }[];
  readonly ulimits: readonly Ulimit[];
  readonly validExitCodes?: readonly number[];
  readonly platform?: Platform;
  readonly network: NetworkMode;
  readonly security: SecurityModeName;
}

export const NO_VALUES: StateValues = {
  dir: '/',
  env: new Map(),
  args: [],
  user: '',
  hostname: '',
  cgroupParent: '',
  extraHosts: [],
  ulimits: [],
  network: 'sandbox',
  security: 'sandbox',
};

/** A variable that is set again moves to the end. */
export function withEnv(env: ReadonlyMap<string, string>, key: string, value: string): ReadonlyMap<string, string> {
  const next = new Map(env);
  next.delete(key);
  return next.set(key, value);
}
