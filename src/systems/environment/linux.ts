import type { EnvironmentRules } from '../types.ts';

export const linuxEnvironment: EnvironmentRules = {
  caseSensitive: true,
  searchPath: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  needsSearchPath: true,
};
