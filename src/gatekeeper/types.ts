/** What is said about requests of steps. */

export interface AskedRequest {
  readonly method: string;
  /** Credentials in it are masked. */
  readonly url: string;
}

/** Resolves to the URL to be asked instead, undefined where it may go as it is. Rejects to deny it. */
export type Judge = (request: AskedRequest, signal: AbortSignal) => Promise<string | undefined>;

/** Of one request several; texts are without credentials. */
export type Note =
  /** `status` 0: the step did not wait for an answer. `redirect`: where the answer leads. */
  | (AskedRequest & { readonly kind: 'request'; readonly status: number; readonly redirect?: string })
  /** All of a body that a GET was answered with. `sha256` is hexadecimal. */
  | { readonly kind: 'material'; readonly url: string; readonly sha256: string }
  /** Nobody can tell what the step got. Reasons are upstream's words (util/network/proxyprovider) where it has one. */
  | (AskedRequest & { readonly kind: 'incomplete'; readonly reason: string });

/** From where requests go on. */
export type Egress =
  | { readonly kind: 'host' }
  /** The network namespace that `path` holds. */
  | { readonly kind: 'path'; readonly path: string };

/** What a step's proxy is told when it starts. */
export interface Post {
  /** The namespace in which it listens, and the IPv4 address there. */
  readonly namespace: string;
  readonly address: string;
  readonly egress: Egress;
  /** Undefined: everything may pass. */
  readonly judge: Judge | undefined;
  readonly note: (note: Note) => void;
}

export interface Guard {
  readonly port: number;
  /** To be trusted by whoever uses the proxy: PEM. */
  readonly authority: string;
  /** Resolves when everything is noted and no connection is left. Never rejects. */
  close(): Promise<void>;
}
