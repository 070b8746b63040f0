import type { LinuxResources } from '../proto/ops.pb.ts';
import type { VertexOptions } from '../solver/index.ts';

/** Jobs that share a step get the more relaxed of their limits: larger numbers win, no limit wins over one. */
export function mergeLinuxResources(value: LinuxResources): NonNullable<VertexOptions['metadata']> {
  return {
    value,
    merge(other: unknown): unknown {
      if (other === undefined) return undefined;
      const b = other as LinuxResources;
      const relaxed = (x: bigint, y: bigint): bigint => (x === 0n || y === 0n ? 0n : x > y ? x : y);
      const merged: LinuxResources = {
        ...value,
        memory: relaxed(value.memory, b.memory),
        memorySwap: value.memorySwap === -1n || b.memorySwap === -1n ? -1n : relaxed(value.memorySwap, b.memorySwap),
        cpuShares: relaxed(value.cpuShares, b.cpuShares),
        cpuPeriod: value.cpuPeriod === b.cpuPeriod ? value.cpuPeriod : 0n,
        cpuQuota: value.cpuPeriod === b.cpuPeriod ? relaxed(value.cpuQuota, b.cpuQuota) : 0n,
        cpusetCpus: value.cpusetCpus === b.cpusetCpus ? value.cpusetCpus : '',
        cpusetMems: value.cpusetMems === b.cpusetMems ? value.cpusetMems : '',
      };
      return merged;
    },
  };
}
