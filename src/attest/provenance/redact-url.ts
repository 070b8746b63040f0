const MASK = 'xxxxx';
const URL_WITH_USER = /^([A-Za-z][A-Za-z0-9+.-]*:\/\/)([^/?#]*)@([^/?#]*)([^]*)$/;
/** `layout://name@sha256:…` is no URL: its port would not be a number. */
const HOST = /^(?:[^:]*|.*:\d*|\[[^\]]*\])$/;

/** `https://user:password@host` as `https://xxxxx:xxxxx@host`. What is no URL stays as it is. */
export function redactCredentials(text: string): string {
  const found = URL_WITH_USER.exec(text);
  if (found === null || !HOST.test(found[3])) return text;
  const [, scheme, credentials, host, rest] = found;
  const colon = credentials.indexOf(':');
  const user = colon < 0 ? credentials : credentials.slice(0, colon);
  const masked = (user === '' ? '' : MASK) + (colon < 0 ? '' : `:${MASK}`);
  return `${scheme}${masked}@${host}${rest}`;
}
