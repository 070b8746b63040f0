/** Linux' dev_t taken apart (glibc's gnu_dev_major and gnu_dev_minor). */
export function deviceOf(rdev: bigint): { devmajor: number; devminor: number } {
  return {
    devmajor: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)),
    devminor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)),
  };
}
