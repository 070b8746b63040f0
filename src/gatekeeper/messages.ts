import type { Authority } from './certificate.ts';
import type { AskedRequest, Egress, Note } from './types.ts';

export interface GuardArguments {
  readonly namespace: string;
  readonly address: string;
  readonly egress: Egress;
  readonly authority: Authority;
  readonly isJudged: boolean;
}

export type FromGuard =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'judge'; readonly id: number; readonly request: AskedRequest }
  /** Nobody waits for the verdict any more. */
  | { readonly kind: 'forget'; readonly id: number }
  | { readonly kind: 'note'; readonly note: Note };

export type ToGuard =
  | { readonly kind: 'verdict'; readonly id: number; readonly allowed: boolean; readonly url?: string }
  | { readonly kind: 'stop' };
