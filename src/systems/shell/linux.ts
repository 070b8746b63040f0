import type { ShellRules } from '../types.ts';

export const linuxShell: ShellRules = { command: ['/bin/sh', '-c'], runsScripts: true };
