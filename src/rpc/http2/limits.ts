/** What one connection may cost us, whoever is at the other end. */

/** Window of a stream and of the connection: what a peer may send before somebody has taken it. */
export const WINDOW = 4 << 20;
/** A window is topped up when this much of it has been used: few updates, and never a wait for them. */
export const WINDOW_STEP = WINDOW / 4;
/** Bytes of all streams that were received and not yet taken: beyond it the whole connection waits. */
export const MAX_HELD = 128 << 20;
/** How long it waits when nobody takes anything, before the stream that holds the most is reset. */
export const UNTAKEN_PATIENCE_MS = 60_000;
/** A view of received bytes may keep this many times its size alive; smaller ones are copied. */
export const MAX_PINNED = 8;
/** When more than this is held, whatever would keep more than itself alive is copied. */
export const FREELY_HELD = MAX_HELD / 8;
/** Bytes of all streams that were written and have not left: beyond it the stream that has the most of them is reset. */
export const MAX_UNSENT_DATA = 256 << 20;

export const MAX_FRAME = 1 << 20;
export const MAX_STREAMS = 4096;

/** Of a header list as RFC 9113 (6.5.2) counts it, in both directions, and of its compressed form. */
export const MAX_HEADER_LIST = 1 << 20;
export const MAX_HEADER_FIELDS = 16_384;
/** Frames of one header block: empty ones would come without end otherwise. */
export const MAX_CONTINUATIONS = 1024;

/** Frames put together for one write; what is more than this waits until the connection takes bytes again. */
export const MAX_WRITE = 1 << 20;
/** Data stops at MAX_WRITE, so only a peer that makes us answer and never reads gets here. */
export const MAX_UNSENT_ANSWERS = 16 << 20;

/**
 * Resets, settings and empty frames: they come in bursts when a build with many transfers is cancelled; only a sustained
 * flood ends the connection.
 */
export const NUISANCE_BURST = 10_000;
export const NUISANCE_PER_SECOND = 1_000;
/** Parameters in one SETTINGS frame; six are known. */
export const MAX_SETTINGS = 64;

/**
 * How long a peer may take for its first words, and how often a client that says nothing is asked whether it is still there,
 * and has to answer in which time: gRPC's own in Go (server.go, clientconn.go, internal/transport/defaults.go).
 */
export const SERVER_GREETING_MS = 120_000;
export const CLIENT_GREETING_MS = 20_000;
export const ASK_AFTER_MS = 2 * 3600_000;
export const ANSWER_MS = 20_000;

/** How long nothing of the last words (statuses, GOAWAY) may leave a connection that is over, before they are given up. */
export const FLUSH_PATIENCE_MS = 1000;
