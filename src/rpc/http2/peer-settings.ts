import { ConnectionFault, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR } from './faults.ts';
import {
  DEFAULT_MAX_FRAME,
  DEFAULT_WINDOW,
  LARGEST_FRAME,
  LARGEST_WINDOW,
  readU32,
  SETTINGS_ENABLE_PUSH,
  SETTINGS_INITIAL_WINDOW_SIZE,
  SETTINGS_MAX_CONCURRENT_STREAMS,
  SETTINGS_MAX_FRAME_SIZE,
} from './frames.ts';
import { MAX_SETTINGS } from './limits.ts';

/** What the peer has told of itself, as far as it concerns what we send. */
export class PeerSettings {
  readonly #isServer: boolean;
  window = DEFAULT_WINDOW;
  maxFrame = DEFAULT_MAX_FRAME;
  /** Until it has told, what every peer should allow (RFC 9113, 6.5.2). */
  maxStreams = 100;
  #hasTold = false;

  /** `isServer`: the peer is one. */
  constructor(isServer: boolean) {
    this.#isServer = isServer;
  }

  /** Throws a ConnectionFault. Unknown ones, and those that concern only what nobody sends, are passed over. */
  apply(payload: Uint8Array): void {
    if (payload.length % 6 !== 0) throw new ConnectionFault(FRAME_SIZE_ERROR, 'SETTINGS of a wrong size');
    if (payload.length / 6 > MAX_SETTINGS) throw new ConnectionFault(PROTOCOL_ERROR, 'too many settings');
    if (!this.#hasTold) this.maxStreams = Infinity;
    this.#hasTold = true;
    for (let at = 0; at < payload.length; at += 6) {
      this.#one((payload[at] << 8) | payload[at + 1], readU32(payload, at + 2));
    }
  }

  #one(id: number, value: number): void {
    switch (id) {
      case SETTINGS_ENABLE_PUSH:
        if (value > (this.#isServer ? 0 : 1)) throw new ConnectionFault(PROTOCOL_ERROR, `bad ENABLE_PUSH ${value}`);
        break;
      case SETTINGS_MAX_CONCURRENT_STREAMS:
        this.maxStreams = value;
        break;
      case SETTINGS_INITIAL_WINDOW_SIZE:
        if (value > LARGEST_WINDOW) throw new ConnectionFault(FLOW_CONTROL_ERROR, `window of ${value} is too large`);
        this.window = value;
        break;
      case SETTINGS_MAX_FRAME_SIZE:
        if (value < DEFAULT_MAX_FRAME || value > LARGEST_FRAME)
          throw new ConnectionFault(PROTOCOL_ERROR, `bad MAX_FRAME_SIZE ${value}`);
        this.maxFrame = value;
        break;
    }
  }
}
