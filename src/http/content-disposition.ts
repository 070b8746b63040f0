/** The file name that a Content-Disposition header gives (RFC 6266, with RFC 2231's encodings), as strictly as Go's mime package. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+/;

interface Parameter {
  /** In lower case. */
  readonly name: string;
  readonly value: string;
}

/** The value after `=`, and what follows it. */
function readValue(text: string): { value: string; rest: string } | undefined {
  if (!text.startsWith('"')) {
    const token = TOKEN.exec(text)?.[0];
    return token === undefined ? undefined : { value: token, rest: text.slice(token.length) };
  }
  let value = '';
  for (let at = 1; at < text.length; at++) {
    const c = text[at];
    if (c === '"') return { value, rest: text.slice(at + 1) };
    if (c === '\r' || c === '\n') return undefined;
    // Only what needs a backslash is taken to have one: some send paths of Windows.
    if (c === '\\' && /[()<>@,;:\\"/[\]?=]/.test(text[at + 1] ?? '')) value += text[++at];
    else value += c;
  }
  return undefined;
}

function readParameters(text: string): Parameter[] | undefined {
  const found: Parameter[] = [];
  let rest = text;
  for (;;) {
    rest = rest.trimStart();
    if (rest === '' || rest.trim() === ';') return found;
    const name = TOKEN.exec(rest.slice(1).trimStart())?.[0];
    if (!rest.startsWith(';') || name === undefined) return undefined;
    const after = rest.slice(1).trimStart().slice(name.length).trimStart();
    if (!after.startsWith('=')) return undefined;
    const value = readValue(after.slice(1).trimStart());
    if (value === undefined) return undefined;
    found.push({ name: name.toLowerCase(), value: value.value });
    rest = value.rest;
  }
}

function percentDecoded(text: string): string | undefined {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return undefined;
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

/** `charset'language'text` */
function extended(text: string): string | undefined {
  const [, charset, encoded] = /^([^']*)'[^']*'(.*)$/s.exec(text) ?? [];
  if (charset === undefined || !/^(us-ascii|utf-8)$/i.test(charset)) return undefined;
  return percentDecoded(encoded);
}

/** `filename*0="a"; filename*1*=…`: pieces until one is missing. */
function joined(parameters: ReadonlyMap<string, string>): string | undefined {
  let text: string | undefined;
  for (let i = 0; ; i++) {
    const plain = parameters.get(`filename*${i}`);
    const encoded = parameters.get(`filename*${i}*`);
    if (plain === undefined && encoded === undefined) return text;
    const piece = plain ?? (i === 0 ? extended(encoded as string) : percentDecoded(encoded as string));
    if (piece === undefined) return text;
    text = (text ?? '') + piece;
  }
}

/** `header` has a character a byte. Undefined when there is no name, or the header is not well formed. */
export function dispositionFileName(header: string): string | undefined {
  const at = header.indexOf(';');
  const kind = (at < 0 ? header : header.slice(0, at)).trim();
  if (at < 0 || TOKEN.exec(kind)?.[0] !== kind) return undefined;
  const parameters = new Map<string, string>();
  for (const { name, value } of readParameters(header.slice(at)) ?? []) {
    if (parameters.has(name) && parameters.get(name) !== value) return undefined;
    parameters.set(name, value);
  }
  const given = extended(parameters.get('filename*') ?? '') ?? joined(parameters) ?? parameters.get('filename');
  return given === undefined ? undefined : Buffer.from(given, 'latin1').toString('utf8');
}
