/** Sizes of one message and of what waits on either side of it, the same for both ends. */

/** Upstream's limit for messages in both directions (cmd/buildkitd/main.go, defaults.DefaultMaxRecvMsgSize). */
export const MAX_MESSAGE = 16 << 20;
/** A reader lets its stream's window run out while whole messages of this size wait for it. */
export const MAX_UNREAD = 1 << 20;
/** `write` waits while more than this is on its way to the peer. */
export const MAX_UNSENT = 1 << 20;
