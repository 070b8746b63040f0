import type { Note } from './types.ts';

type RequestNote = Extract<Note, { kind: 'request' }>;
type MaterialNote = Extract<Note, { kind: 'material' }>;
type IncompleteNote = Extract<Note, { kind: 'incomplete' }>;

/** A step may ask for as much as it likes: what is kept of its texts, in characters. */
const MAX_CHARS = 4 << 20;

/** What one step asked for and what it got. */
export class RequestJournal {
  readonly #requests: RequestNote[] = [];
  readonly #materials: MaterialNote[] = [];
  readonly #incomplete: IncompleteNote[] = [];
  #chars = 0;
  /** Requests that were too many to keep. */
  #lost = 0;

  add(note: Note): void {
    this.#chars += note.url.length + (note.kind === 'request' ? (note.redirect ?? '').length : 0) + 100;
    if (this.#chars > MAX_CHARS) {
      if (note.kind === 'request') this.#lost++;
      if (this.#lost === 1 && note.kind === 'request') {
        this.#incomplete.push({ kind: 'incomplete', method: '', url: '', reason: 'too_many_requests' });
      }
    } else if (note.kind === 'request') this.#requests.push(note);
    else if (note.kind === 'material') this.#materials.push(note);
    else this.#incomplete.push(note);
  }

  /** As a build shows it; '' where nothing was asked for. */
  get text(): string {
    if (this.#requests.length === 0) return '';
    const lines = this.#requests.map(
      ({ method, url, status }) => `- ${method} ${url}${status === 0 ? '' : ` -> ${status}`}\n`,
    );
    const rest = this.#lost === 0 ? '' : `- and ${this.#lost} more\n`;
    return `proxy network requests:\n${lines.join('')}${rest}`;
  }

  get incomplete(): readonly Omit<IncompleteNote, 'kind'>[] {
    return this.#incomplete;
  }

  /** What was got, each URL once, and under the URLs that led there by redirects, too. */
  get materials(): readonly Omit<MaterialNote, 'kind'>[] {
    const found = new Map<string, string>();
    for (const { url, sha256 } of this.#materials) if (!found.has(url)) found.set(url, sha256);
    const waiting = new Map<string, string[]>();
    for (const { url, redirect } of this.#requests) {
      if (redirect === undefined || redirect === url || found.has(url)) continue;
      const from = waiting.get(redirect);
      if (from === undefined) waiting.set(redirect, [url]);
      else from.push(url);
    }
    const next = [...found.keys()];
    for (let target = next.pop(); target !== undefined; target = next.pop()) {
      for (const url of waiting.get(target) ?? []) {
        if (found.has(url)) continue;
        found.set(url, found.get(target) as string);
        next.push(url);
      }
    }
    return [...found].map(([url, sha256]) => ({ url, sha256 }));
  }
}
