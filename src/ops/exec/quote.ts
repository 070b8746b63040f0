/** A text in double quotes, as Go's %q writes it: error texts and descriptions carry it. */
export function quote(text: string): string {
  const inner = text.replace(/["\\]|(?! )[\p{C}\p{Z}]/gu, (c) => {
    if ('"\\\b\f\n\r\t'.includes(c)) return JSON.stringify(c).slice(1, -1);
    if (c === '\u0007') return '\\a';
    if (c === '\u000b') return '\\v';
    const code = c.codePointAt(0) as number;
    const hex = code.toString(16);
    if (code < 0x80) return `\\x${hex.padStart(2, '0')}`;
    // Half of a pair: Go has no such text.
    if (code >= 0xd800 && code <= 0xdfff) return '\ufffd';
    return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
  });
  return `"${inner}"`;
}
