/** Longest line that is kept: the rest of it is not shown. */
const MAX_WIDTH = 500;

/**
 * The last lines of a step's output as a small terminal shows them: carriage returns overwrite, escapes are followed as
 * far as progress bars need it and never reach the real terminal.
 */
export class LogScreen {
  #width: number;
  #height: number;
  #lines: string[] = [''];
  #row = 0;
  #column = 0;
  /** An escape sequence that is not whole yet. */
  #held = '';
  written = 0;

  constructor(width: number, height: number) {
    this.#width = Math.max(1, Math.min(width, MAX_WIDTH));
    this.#height = Math.max(1, height);
  }

  resize(width: number, height: number): void {
    this.#width = Math.max(1, Math.min(width, MAX_WIDTH));
    this.#height = Math.max(1, height);
    this.#scroll();
  }

  write(text: string): void {
    this.written += text.length;
    let rest = this.#held + text;
    this.#held = '';
    while (rest !== '') {
      const special = /[\x00-\x1f\x7f-\x9f]/.exec(rest);
      if (special === null) {
        this.#put(rest);
        return;
      }
      if (special.index > 0) this.#put(rest.slice(0, special.index));
      rest = rest.slice(special.index);
      rest = rest[0] === '\x1b' ? this.#escape(rest) : this.#control(rest);
    }
  }

  /** Non-empty lines, top to bottom. */
  lines(): string[] {
    return this.#lines.map((l) => l.slice(0, this.#width)).filter((l) => l.trim() !== '');
  }

  #put(text: string): void {
    for (const char of text) {
      if (this.#column >= this.#width) this.#newLine();
      const line = this.#lines[this.#row].padEnd(this.#column);
      this.#lines[this.#row] = line.slice(0, this.#column) + char + line.slice(this.#column + char.length);
      this.#column += char.length;
    }
  }

  #newLine(): void {
    this.#row++;
    this.#column = 0;
    if (this.#row >= this.#lines.length) this.#lines.push('');
    this.#scroll();
  }

  #scroll(): void {
    const extra = this.#lines.length - this.#height;
    if (extra <= 0) return;
    this.#lines.splice(0, extra);
    this.#row = Math.max(0, this.#row - extra);
  }

  #control(rest: string): string {
    if (rest[0] === '\n') this.#newLine();
    else if (rest[0] === '\r') this.#column = 0;
    else if (rest[0] === '\b') this.#column = Math.max(0, this.#column - 1);
    else if (rest[0] === '\t') this.#put(' '.repeat(8 - (this.#column % 8)));
    return rest.slice(1);
  }

  #escape(rest: string): string {
    const csi = /^\x1b\[([0-9;?]*)([@-~])/.exec(rest);
    if (csi !== null) {
      this.#csi(csi[1], csi[2]);
      return rest.slice(csi[0].length);
    }
    // Titles and links: up to their terminator.
    const osc = /^\x1b\][^\x07\x1b]*(\x07|\x1b\\)/.exec(rest);
    if (osc !== null) return rest.slice(osc[0].length);
    if (/^\x1b(\[[0-9;?]{0,32})?$/.test(rest) || /^\x1b\][^\x07\x1b]{0,256}\x1b?$/.test(rest)) {
      this.#held = rest;
      return '';
    }
    return rest.slice(/^\x1b[ -/]*[0-~]?/.exec(rest)?.[0].length ?? 1);
  }

  #csi(parameters: string, final: string): void {
    const n = Math.min(Number.parseInt(parameters, 10) || 1, MAX_WIDTH);
    switch (final) {
      case 'A':
        this.#row = Math.max(0, this.#row - n);
        break;
      case 'B':
        this.#row = Math.min(this.#lines.length - 1, this.#row + n);
        break;
      case 'C':
        this.#column = Math.min(this.#width - 1, this.#column + n);
        break;
      case 'D':
        this.#column = Math.max(0, this.#column - n);
        break;
      case 'G':
        this.#column = Math.min(this.#width - 1, n - 1);
        break;
      case 'K':
        this.#eraseLine(parameters);
        break;
      case 'J':
        if (parameters === '2' || parameters === '3') {
          this.#lines = [''];
          this.#row = 0;
          this.#column = 0;
        } else this.#lines.splice(this.#row + 1);
        break;
      default: // Colours and modes change nothing here.
    }
  }

  #eraseLine(parameters: string): void {
    const line = this.#lines[this.#row];
    if (parameters === '2') this.#lines[this.#row] = '';
    else if (parameters === '1') this.#lines[this.#row] = ' '.repeat(this.#column) + line.slice(this.#column);
    else this.#lines[this.#row] = line.slice(0, this.#column);
  }
}
