/** What a row of the table is. */
import type { Builder } from './builder.ts';
import type { Stand } from './stand.ts';
import type { Sample } from './statistics.ts';

export interface Figure {
  readonly name: string;
  /** Seconds unless told. */
  readonly unit?: 's' | 'ms' | 'MB';
  /** What the limit of this figure is, where there is one. */
  readonly limit?: string;
}

/** A row that has been made ready. */
export interface Course {
  /** Once for every builder, before the first round: what must not be measured, as fetching the base image. */
  warm?(builder: Builder): Promise<unknown>;
  /** One round. `round` is new in every call for the same builder, and makes the work new to its cache. */
  measure(builder: Builder, round: number): Promise<Sample>;
  /** The simplest tools that do the same. */
  limit?(round: number): Promise<Sample>;
}

export interface Row {
  readonly name: string;
  readonly work: string;
  readonly figures: readonly Figure[];
  readonly rounds: number;
  /** Programs that the row needs on PATH; without them it is left out, and that is said. */
  readonly needs?: readonly string[];
  prepare(stand: Stand): Promise<Course>;
}
