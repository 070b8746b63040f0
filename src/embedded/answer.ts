import type { Code } from '../base/index.ts';

/** What a daemon of buildctl's says, in one line of JSON. `address`: this process' own daemon, or that of another buildctl. */
export type Answer =
  | { readonly kind: 'ready'; readonly address: string }
  | { readonly kind: 'failed'; readonly code: Code; readonly message: string };
