import type { PathRules } from '../types.ts';

export const linuxPaths: PathRules = {
  toSlash: (path) => path,
  fromSlash: (path) => path,
  withoutDrive: (path) => path,
  checkNames: () => {},
};
