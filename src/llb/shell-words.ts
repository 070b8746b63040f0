/** A command line's words as github.com/google/shlex splits it: quotes, backslashes, comments; nothing is expanded. */
export function splitShell(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (/\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (c === '#' && word === undefined) {
      const end = text.indexOf('\n', i);
      i = end < 0 ? text.length : end;
    } else if (c === '\\') {
      word = (word ?? '') + (text[++i] ?? '');
    } else if (c === "'" || c === '"') {
      word ??= '';
      for (i++; i < text.length && text[i] !== c; i++) {
        if (c === '"' && text[i] === '\\') i++;
        word += text[i] ?? '';
      }
    } else word = (word ?? '') + c;
  }
  if (word !== undefined) words.push(word);
  return words;
}
