/** Which lists of fields are well-formed requests, responses and trailers (RFC 9113, 8.2 and 8.3). */
import { PROTOCOL_ERROR, StreamFault } from './faults.ts';
import type { Fields } from './hpack-decoder.ts';

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
// What cannot be told from the end of a field elsewhere. Blanks around a value are left alone: gRPC's own in Go sends them.
// eslint-disable-next-line no-control-regex
const BAD_VALUE = /[\0\r\n]/;
/** They belong to one connection of HTTP/1. */
const FORBIDDEN = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

const REQUEST = new Set([':method', ':scheme', ':authority', ':path']);
const RESPONSE = new Set([':status']);
const TRAILERS: ReadonlySet<string> = new Set();

function malformed(message: string): StreamFault {
  return new StreamFault(PROTOCOL_ERROR, message);
}

function check(fields: Fields, allowed: ReadonlySet<string>): Set<string> {
  const seen = new Set<string>();
  let regular = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    const value = fields[i + 1];
    if (name.startsWith(':')) {
      if (regular || seen.has(name) || !allowed.has(name))
        throw malformed(`field ${JSON.stringify(name)} is out of place`);
      seen.add(name);
    } else {
      regular = true;
      if (!NAME.test(name)) throw malformed(`bad field name ${JSON.stringify(name)}`);
      if (FORBIDDEN.has(name) || (name === 'te' && value !== 'trailers'))
        throw malformed(`field ${name} is not allowed`);
    }
    if (BAD_VALUE.test(value)) throw malformed(`bad value of field ${name}`);
  }
  return seen;
}

/** Throws a StreamFault, as the others do. */
export function checkRequest(fields: Fields): void {
  const seen = check(fields, REQUEST);
  if (!seen.has(':method') || !seen.has(':scheme') || !seen.has(':path')) throw malformed('incomplete request');
}

/** The status: three digits. */
export function checkResponse(fields: Fields): number {
  check(fields, RESPONSE);
  const status = fieldOf(fields, ':status') ?? '';
  if (!/^[1-9]\d\d$/.test(status)) throw malformed(`bad status ${JSON.stringify(status)}`);
  return Number(status);
}

export function checkTrailers(fields: Fields): void {
  check(fields, TRAILERS);
}

/** The first of that name. */
export function fieldOf(fields: Fields, name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}
