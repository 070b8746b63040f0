import type { EnvironmentRules } from '../types.ts';

/** Equal for names of the same variable. */
export function variableKey({ caseSensitive }: EnvironmentRules, name: string): string {
  return caseSensitive ? name : name.toUpperCase();
}
