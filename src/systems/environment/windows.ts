import type { EnvironmentRules } from '../types.ts';

/** PATH is in the registry of an image (moby/buildkit#5445). */
export const windowsEnvironment: EnvironmentRules = {
  caseSensitive: false,
  searchPath: 'c:\\Windows\\System32;c:\\Windows;C:\\Windows\\System32\\WindowsPowerShell\\v1.0',
  needsSearchPath: false,
};
