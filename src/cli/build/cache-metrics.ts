import type { StatusResponse } from '../../proto/control.pb.ts';

interface Seen {
  readonly name: string;
  from: boolean;
  cached: boolean;
  completed: boolean;
}

const NOT_THE_USERS = ['[internal]', '[auth]', 'importing cache', 'exporting '];

/** What `--debug-json-cache-metrics` tells: misses by name, then one line of JSON. */
export class CacheMetrics {
  readonly #started = Date.now();
  readonly #steps = new Map<string, Seen>();

  update(status: StatusResponse): void {
    for (const v of status.vertexes) {
      let seen = this.#steps.get(v.digest);
      if (seen === undefined) {
        this.#steps.set(v.digest, (seen = { name: v.name, from: false, cached: false, completed: false }));
      }
      if (/^\[.*\] FROM/.test(v.name)) seen.from = true;
      if (v.cached) seen.cached = true;
      if (v.completed !== undefined) seen.completed = true;
    }
  }

  render(): string {
    const all = [...this.#steps.values()];
    const users = all.filter((s) => !NOT_THE_USERS.some((prefix) => s.name.startsWith(prefix)));
    const misses = users.filter((s) => !s.cached && !s.from);
    const from = users.filter((s) => s.from).length;
    const totals = {
      total: all.length,
      completed: all.filter((s) => s.completed).length,
      user_total: users.length,
      user_cached: users.filter((s) => s.cached).length,
      user_completed: users.filter((s) => s.completed).length,
      user_cacheable: users.length - from,
      from,
      miss: misses.length,
      client_duration_ms: Date.now() - this.#started,
    };
    return `${misses.map((s) => `cache miss: ${s.name}\n`).join('')}${JSON.stringify(totals)}\n`;
  }
}
