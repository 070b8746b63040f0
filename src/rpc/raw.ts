/** Streams whose messages pass through undecoded, and BytesMessage without copying its body. */
import type { MessageType, MethodDefinition, ServiceDefinition } from './types.ts';

const rawType: MessageType<Uint8Array> = {
  encode: (bytes) => ({ finish: () => bytes }),
  decode: (bytes) => bytes,
};

export interface Bytes {
  data: Uint8Array;
  /** What follows it in the same message; for writing only. */
  more?: readonly Uint8Array[];
}

export const BYTES_TAG = 0x0a;

export function decodeBytes(input: Uint8Array): Bytes {
  // The usual message: one field that fills it. Anything else is read field by field, the last one wins.
  let data: Uint8Array = new Uint8Array(0);
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= input.length) throw new Error('unexpected end of message');
      const byte = input[at++];
      if (shift < 49) value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error('varint is too long');
  };
  const skip = (count: number): void => {
    if (count > input.length - at) throw new Error('field reaches past the message');
    at += count;
  };
  while (at < input.length) {
    const tag = varint();
    switch (tag & 7) {
      case 0:
        varint();
        break;
      case 1:
        skip(8);
        break;
      case 2: {
        const length = varint();
        const start = at;
        skip(length);
        if (tag === BYTES_TAG) data = input.subarray(start, at);
        break;
      }
      case 5:
        skip(4);
        break;
      default:
        throw new Error(`wire type ${tag & 7} is not supported`);
    }
  }
  return { data };
}

function bytesHeader(length: number): Uint8Array {
  const out = [BYTES_TAG];
  let rest = length;
  while (rest >= 0x80) {
    out.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
  return Uint8Array.from(out);
}

/** `message BytesMessage { bytes data = 1; }`, of which every service has its own copy. */
export const bytesType: MessageType<Bytes> = {
  encode: (message) => ({ finish: () => Buffer.concat(encodeParts(message)) }),
  encodeParts,
  decode: decodeBytes,
};

/** The same where bytes alone count: a message may come in parts. */
const streamedBytesType: MessageType<Bytes> = { ...bytesType, decode: (data) => ({ data }), inParts: true };

function encodeParts({ data, more = [] }: Bytes): Uint8Array[] {
  let length = data.length;
  for (const piece of more) length += piece.length;
  return length === 0 ? [] : [bytesHeader(length), data, ...more];
}

/** Which ways a method streams stays in its type: `Server.add` picks the handler's shape by it. */
type Retyped<M extends MethodDefinition<any, any>, T> = MethodDefinition<T, T> & {
  readonly requestStream: M['requestStream'];
  readonly responseStream: M['responseStream'];
};

function retyped<M extends MethodDefinition<any, any>, T>(
  method: M,
  type: MessageType<T>,
  streamed = type,
): Retyped<M, T> {
  return {
    name: method.name,
    requestType: method.requestStream ? streamed : type,
    requestStream: method.requestStream,
    responseType: method.responseStream ? streamed : type,
    responseStream: method.responseStream,
  };
}

/** The same method with encoded messages on both sides. */
export function rawMethod<M extends MethodDefinition<any, any>>(method: M): Retyped<M, Uint8Array> {
  return retyped(method, rawType);
}

/** The same method for BytesMessage, without copies. Of what is streamed the bytes are kept, not how they were cut into messages. */
export function bytesMethod<M extends MethodDefinition<any, any>>(method: M): Retyped<M, Bytes> {
  return retyped(method, bytesType, streamedBytesType);
}

/** A service that has only this method, for `Server.add`: `oneMethod(Def, 'diffCopy', rawMethod(Def.methods.diffCopy))`. */
export function oneMethod<K extends string, M extends MethodDefinition<any, any>>(
  service: ServiceDefinition,
  key: K,
  method: M,
): { readonly fullName: string; readonly methods: { readonly [P in K]: M } } {
  return { fullName: service.fullName, methods: { [key]: method } as { readonly [P in K]: M } };
}
