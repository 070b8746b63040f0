/**
 * A little room on the disk that is given up when nothing else is left: so that the daemon starts on a full disk and can
 * write what it takes to prune.
 */
import { rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { BuildError, Code, formatBytes, logger, Mutex, toBuildError } from '../base/index.ts';
import { space } from '../host/index.ts';

const LARGEST = 8 << 20;
/** Of a small disk no more than this part. */
const PART = 32;
/** Made again only where this many times as much is free. */
const AMPLE = 4;
const CHUNK = 1 << 20;
const LENT_MS = 500;

export class DiskReserve {
  readonly #path: string;
  readonly #root: string;
  readonly #bytes: number;
  readonly #mutex = new Mutex();
  /** Bytes that were given up and not taken back: those were its own. */
  #owed = 0;
  #return: NodeJS.Timeout | undefined;

  /** `root` is there; `path` is the file that takes the room. */
  constructor(root: string, path: string) {
    this.#root = root;
    this.#path = path;
    this.#bytes = Math.min(LARGEST, Math.floor(space(root).total / PART));
  }

  #size(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Gives the room up, when there is less than that without it. */
  giveUpIfFull(): void {
    if (space(this.#root).free >= this.#bytes) return;
    this.#owed = Math.max(this.#owed, this.#size());
    rmSync(this.#path, { force: true });
  }

  /** Gives it up for a moment, in which what was to go is gone. */
  lend(): void {
    this.giveUpIfFull();
    this.#return ??= setTimeout(() => {
      this.#return = undefined;
      this.takeBack().catch((error: unknown) => logger.warn('no room can be kept aside', { error }));
    }, LENT_MS);
    this.#return.unref();
  }

  /** Takes the room back, as far as there is some. */
  async takeBack(): Promise<void> {
    await this.#mutex.run(async () => {
      const wanted = space(this.#root).free > AMPLE * this.#bytes ? this.#bytes : this.#owed;
      const size = this.#size();
      if (size >= wanted) return;
      this.#owed = 0;
      try {
        const file = await open(this.#path, 'a', 0o600);
        try {
          for (let left = wanted - size; left > 0; left -= CHUNK)
            await file.writeFile(Buffer.alloc(Math.min(left, CHUNK)));
        } finally {
          await file.close();
        }
      } catch (error) {
        // A part of it is better than none.
        if (toBuildError(error).code !== Code.ResourceExhausted) {
          logger.warn('no room can be kept aside', { path: this.#path, error });
        }
      }
    });
  }

  /** Runs what makes room. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.giveUpIfFull();
    try {
      return await work();
    } finally {
      await this.takeBack();
    }
  }
}

/** Whether a failure says that there is no room left on some disk of this machine. */
function isFullDisk(error: BuildError): boolean {
  return (
    error.code === Code.ResourceExhausted &&
    /no space left on device|disk quota exceeded|disk is full|ENOSPC|EDQUOT/.test(error.message)
  );
}

/**
 * Adds to a failure for want of room how full the disk of `root` is and what pruning would free; any other failure is given
 * back as it is. `reclaimable` resolves to bytes; without it nothing is said of pruning.
 */
export async function explainFullDisk(
  thrown: unknown,
  root: string,
  reclaimable?: () => Promise<number>,
): Promise<BuildError> {
  const error = toBuildError(thrown);
  if (!isFullDisk(error)) return error;
  const { total, free } = space(root);
  const full = `${formatBytes(BigInt(free))} of ${formatBytes(BigInt(total))} are free on the disk of ${root}`;
  const bytes = await reclaimable?.().catch(() => undefined);
  const hint =
    bytes === undefined ? '' : `, "buildctl prune --all" would free ${formatBytes(BigInt(Math.trunc(bytes)))}`;
  return new BuildError(error.code, `${error.message} (${full}${hint})`, { cause: error, details: error.details });
}
