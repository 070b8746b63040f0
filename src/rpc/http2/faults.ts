/** Error codes of RFC 9113 (7) and the two kinds of fault: one ends the connection, the other its stream. */

export const NO_ERROR = 0;
export const PROTOCOL_ERROR = 1;
export const INTERNAL_ERROR = 2;
export const FLOW_CONTROL_ERROR = 3;
export const STREAM_CLOSED = 5;
export const FRAME_SIZE_ERROR = 6;
export const REFUSED_STREAM = 7;
export const CANCEL = 8;
export const COMPRESSION_ERROR = 9;
export const ENHANCE_YOUR_CALM = 11;

/** The peer broke the rules of the connection: it ends with a GOAWAY of this code, which carries the message. */
export class ConnectionFault extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(`http2: ${message}`);
    this.code = code;
  }
}

/** The peer broke the rules of one stream, which is reset with this code. */
export class StreamFault extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(`http2: ${message}`);
    this.code = code;
  }
}
