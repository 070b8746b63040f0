/** What is given back when a job, or the last of the jobs that share a vertex, has ended. */
import { logger } from '../base/index.ts';

export type Release = () => Promise<void>;

export class Deferrals {
  readonly #waiting: Release[] = [];
  #ended = false;

  /** Runs at once when the end has come already. */
  add(release: Release): void {
    if (this.#ended) void run(release);
    else this.#waiting.push(release);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#waiting.splice(0).map(run));
  }
}

async function run(release: Release): Promise<void> {
  try {
    await release();
  } catch (error) {
    logger.error('what a job held could not be released', { error });
  }
}
