export interface GitUrl {
  readonly scheme: string;
  /** With the port. */
  readonly host: string;
  readonly path: string;
  /** The URL without fragment and query. */
  readonly remote: string;
}

const SCHEMES = new Set(['http', 'https', 'ssh', 'git']);
const SCP = /^(?:([a-zA-Z0-9_.-]+)@)?([a-zA-Z0-9_.-]+):([^#?]+)(?:[#?].*)?$/;

/** Also `user@host:path`. undefined: no protocol that git speaks. */
export function parseGitUrl(text: string): GitUrl | undefined {
  const scheme = /^([a-zA-Z0-9]+):\/\//.exec(text)?.[1].toLowerCase();
  if (scheme === undefined) {
    const scp = SCP.exec(text);
    if (scp?.[1] === undefined) return undefined;
    return { scheme: 'ssh', host: scp[2], path: scp[3], remote: `${scp[1]}@${scp[2]}:${scp[3]}` };
  }
  if (!SCHEMES.has(scheme)) return undefined;
  const remote = text.replace(/[#?].*$/, '');
  const found = /^[a-zA-Z0-9]+:\/\/(?:[^/@]*@)?([^/]*)(.*)$/.exec(remote);
  if (found === null) return undefined;
  return { scheme, host: found[1], path: found[2], remote };
}
