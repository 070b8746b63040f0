import type { ShellRules } from '../types.ts';

export const windowsShell: ShellRules = { command: ['cmd', '/S', '/C'], runsScripts: false };
