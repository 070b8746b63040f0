/** What a WWW-Authenticate header asks for. */
export interface Challenge {
  readonly scheme: 'bearer' | 'basic';
  readonly parameters: ReadonlyMap<string, string>;
}

const PARAMETER = /([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/g;

/** The first challenge that we can answer. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  if (header === undefined || header.length > 8192) return undefined;
  const found = /(?:^|,\s*)(bearer|basic)(?:\s+|$)/i.exec(header);
  if (found === null) return undefined;
  const parameters = new Map<string, string>();
  for (const [, key, quoted, plain] of header.slice(found.index + found[0].length).matchAll(PARAMETER)) {
    if (!parameters.has(key.toLowerCase())) parameters.set(key.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain);
  }
  return { scheme: found[1].toLowerCase() as Challenge['scheme'], parameters };
}
