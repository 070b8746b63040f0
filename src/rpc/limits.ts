/** Sizes of one connection and one message, the same for both ends. */

/** Upstream's limit for messages in both directions (cmd/buildkitd/main.go, defaults.DefaultMaxRecvMsgSize). */
export const MAX_MESSAGE = 16 << 20;
/** Window of a stream and of the connection: it bounds what one call can make us hold. */
export const WINDOW = 4 << 20;
/** A reader stops taking bytes from its stream while whole messages of this size wait for it. */
export const MAX_UNREAD = 1 << 20;
/** `write` waits while more than this is on its way to the peer. */
export const MAX_UNSENT = 1 << 20;

/** Codes of a stream's end (RFC 9113, 7). Not read from node:http2, which is loaded by the first connection. */
export const NO_ERROR = 0;
export const CANCEL = 8;

const MAX_HEADER_BLOCK = 1 << 20;

export const SETTINGS = {
  enablePush: false,
  initialWindowSize: WINDOW,
  maxFrameSize: 1 << 20,
  maxConcurrentStreams: 4096,
  maxHeaderListSize: MAX_HEADER_BLOCK,
} as const;

/**
 * Include patterns and follow paths of a local source travel as repeated headers, so pairs and size must be generous.
 * Resets come in bursts when a build with many transfers is cancelled: only a sustained flood ends the connection.
 */
export const SESSION_OPTIONS = {
  settings: SETTINGS,
  maxHeaderListPairs: 16_384,
  maxSendHeaderBlockLength: MAX_HEADER_BLOCK,
  maxSessionMemory: 512,
  maxSettings: 64,
  streamResetBurst: 10_000,
  streamResetRate: 1_000,
} as const;
