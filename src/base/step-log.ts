/** What a step prints, on its way to progress: clipped where it is too much or too fast, its end shown when the step fails. */
import { Writable } from 'node:stream';
import type { StepProgress } from './progress.ts';

export interface LogLimits {
  /** Bytes of one stream; -1 is no limit. */
  readonly size: number;
  /** Bytes a second; -1 is no limit. */
  readonly speed: number;
}

const TAIL = 256 * 1024;
const DEFAULT_SIZE = 2 * 1024 * 1024;
const DEFAULT_SPEED = 200 * 1024;

function setting(text: string | undefined, standard: number): number {
  return text !== undefined && /^[+-]?\d{1,10}$/.test(text) ? Number(text) : standard;
}

export function logLimits(env: Readonly<Record<string, string | undefined>>): LogLimits {
  return {
    size: setting(env['BUILDKIT_STEP_LOG_MAX_SIZE'], DEFAULT_SIZE),
    speed: setting(env['BUILDKIT_STEP_LOG_MAX_SPEED'], DEFAULT_SPEED),
  };
}

function bytesText(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value}${units[unit]}`;
}

/** The newest bytes of a stream. */
class Tail {
  #chunks: Buffer[] = [];
  #size = 0;

  add(data: Buffer): void {
    const part = Buffer.from(data.subarray(-TAIL));
    this.#chunks.push(part);
    this.#size += part.length;
    // Joined seldom: many small lines must not cost more than their bytes.
    if (this.#size <= 2 * TAIL && this.#chunks.length <= 4096) return;
    const all = this.bytes();
    this.#chunks = [all];
    this.#size = all.length;
  }

  bytes(): Buffer {
    return Buffer.from(Buffer.concat(this.#chunks).subarray(-TAIL));
  }
}

export class StepLog extends Writable {
  readonly #progress: StepProgress;
  readonly #stream: 1 | 2;
  readonly #limits: LogLimits;
  readonly #started = performance.now();
  #size = 0;
  #isClipping = false;
  #tail: Tail | undefined;

  constructor(progress: StepProgress, stream: 1 | 2, limits: LogLimits) {
    super();
    this.#progress = progress;
    this.#stream = stream;
    this.#limits = limits;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const { allowed, limit } = this.#allowance(chunk.length);
    const isClipped = allowed < chunk.length;
    if (isClipped) this.#tail ??= new Tail();
    this.#tail?.add(chunk);
    const parts = [chunk.subarray(0, allowed)];
    if (isClipped && !this.#isClipping) parts.push(Buffer.from(`\n[output clipped, log limit ${limit} reached]\n`));
    this.#isClipping = isClipped;
    this.#show(Buffer.concat(parts));
    done();
  }

  /** Shows the end of what was kept back. */
  showTail(): void {
    if (this.#tail !== undefined) this.#show(this.#tail.bytes());
    this.#tail = undefined;
  }

  #show(data: Uint8Array): void {
    if (data.length > 0) this.#progress.log(this.#stream, data);
  }

  /** What is kept back counts too: a step that goes on at that rate stays clipped. */
  #allowance(count: number): { allowed: number; limit: string } {
    const { size, speed } = this.#limits;
    const before = this.#size;
    this.#size += count;
    const seconds = Math.max(1, Math.ceil((performance.now() - this.#started) / 1000));
    const bySpeed = speed === -1 ? Infinity : seconds * speed;
    const bySize = size === -1 ? Infinity : size;
    const limit = bySpeed <= bySize ? `${bytesText(speed)}/s` : bytesText(size);
    return { allowed: Math.min(count, Math.max(0, Math.min(bySpeed, bySize) - before)), limit };
  }
}
