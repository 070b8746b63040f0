/** Ports of EXPOSE. */
import { isIP } from 'node:net';
import { cut, quote } from '../go-text.ts';
import { prefixError, textError } from '../located-error.ts';
import type { LineRange } from '../located-error.ts';
import { RULES } from '../lint/index.ts';
import type { Linter } from '../lint/index.ts';

function portNumber(text: string): number | undefined {
  const port = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
  return port >= 0 && port <= 65_535 ? port : undefined;
}

function portRange(text: string): { start: number; end: number } | undefined {
  const [first, last, isRange] = cut(text, '-');
  const start = portNumber(first);
  if (start === undefined) return undefined;
  if (!isRange || first === last) return { start, end: start };
  const end = portNumber(last);
  return end === undefined || end < start ? undefined : { start, end };
}

function protocolOf(text: string): { port: string; protocol: string } {
  const [port, protocol] = cut(text, '/');
  if (port === '') throw textError('no port specified');
  if (!['', 'tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) throw textError(`invalid proto: ${protocol}`);
  return { port, protocol: protocol || 'tcp' };
}

function checkIp(ip: string): void {
  const bare = ip.startsWith('[') && ip.endsWith(']') ? ip.slice(1, -1) : ip;
  if (bare !== '' && isIP(bare) === 0) throw textError(`invalid IP address: ${bare}`);
}

/** `[[ip:]host:]container[/protocol]` as the list of its `port/protocol`. */
export function exposedPorts(raw: string, location: readonly LineRange[], linter: Linter): string[] {
  const parts = raw.split(':');
  const container = parts[parts.length - 1];
  const host = parts[parts.length - 2] ?? '';
  const ip = parts.slice(0, -2).join(':');
  let split: { port: string; protocol: string };
  try {
    split = protocolOf(container);
  } catch (error) {
    throw prefixError(error, `invalid port: ${quote(raw)}`);
  }
  const { port, protocol } = split;
  if (protocol !== protocol.toLowerCase()) linter.run(RULES.exposeProtoCasing, location, raw);
  if (ip !== '' || host !== '') linter.run(RULES.exposeInvalidFormat, location, raw);
  checkIp(ip);
  const range = portRange(port);
  if (range === undefined) throw textError(`invalid containerPort: ${port}`);
  if (host !== '') {
    const hostRange = portRange(host);
    if (hostRange === undefined) throw textError(`invalid hostPort: ${host}`);
    const { start, end } = range;
    // A range on the host may serve one port.
    if (end !== start && end - start !== hostRange.end - hostRange.start) {
      throw textError(`invalid ranges specified for container and host Ports: ${port} and ${host}`);
    }
  }
  const ports: string[] = [];
  for (let p = range.start; p <= range.end; p++) ports.push(`${p}/${protocol.toLowerCase()}`);
  return ports;
}
