/** Finds edges that must have equal results: same digest and output, and for each input a key in common. */
export class MergeIndex<N extends { readonly isClosed: boolean }> {
  readonly #nodes = new Map<string, Set<N>>();

  /** For each input the texts of its keys; a vertex without inputs gives one list with its own key. */
  match(node: N, keys: readonly (readonly string[])[]): N | undefined {
    const [first, ...rest] = keys;
    for (const text of first) {
      for (const other of this.#nodes.get(text) ?? []) {
        if (other === node || other.isClosed) continue;
        if (rest.every((texts) => texts.some((t) => this.#nodes.get(t)?.has(other)))) return other;
      }
    }
    return undefined;
  }

  get isEmpty(): boolean {
    return this.#nodes.size === 0;
  }

  add(node: N, text: string): void {
    let set = this.#nodes.get(text);
    if (set === undefined) this.#nodes.set(text, (set = new Set()));
    set.add(node);
  }

  remove(node: N, texts: Iterable<string>): void {
    for (const text of texts) {
      const set = this.#nodes.get(text);
      set?.delete(node);
      if (set?.size === 0) this.#nodes.delete(text);
    }
  }
}
