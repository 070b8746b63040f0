/**
 * Security descriptors as text, in the language of MS-DTYP 2.5.1: `O:BAG:SYD:(A;OICI;FA;;;BA)`. Deliberately absent: entries
 * with conditions, with object GUIDs and other rare types, of which text is only made in part.
 */
import { invalidArgument } from '../../base/index.ts';
import { aceGrant, Control, isPlainAce, plainAce } from './security-descriptor.ts';
import type { Ace, Acl, SecurityDescriptor } from './security-descriptor.ts';
import { writeSid } from './sid.ts';

/** Accounts that SDDL has letters for and that files of images have to do with. */
const ALIASES: ReadonlyArray<readonly [string, string]> = [
  ['AN', 'S-1-5-7'],
  ['AU', 'S-1-5-11'],
  ['BA', 'S-1-5-32-544'],
  ['BG', 'S-1-5-32-546'],
  ['BU', 'S-1-5-32-545'],
  ['CG', 'S-1-3-1'],
  ['CO', 'S-1-3-0'],
  ['IU', 'S-1-5-4'],
  ['LS', 'S-1-5-19'],
  ['NS', 'S-1-5-20'],
  ['NU', 'S-1-5-2'],
  ['OW', 'S-1-3-4'],
  ['PU', 'S-1-5-32-547'],
  ['SU', 'S-1-5-6'],
  ['SY', 'S-1-5-18'],
  ['WD', 'S-1-1-0'],
  ['AC', 'S-1-15-2-1'],
  ['LW', 'S-1-16-4096'],
  ['ME', 'S-1-16-8192'],
  ['HI', 'S-1-16-12288'],
  ['SI', 'S-1-16-16384'],
];
const sidOfAlias = new Map(ALIASES);
const aliasOfSid = new Map(ALIASES.map(([alias, sid]) => [sid, alias]));

const TYPES: ReadonlyArray<readonly [string, number]> = [
  ['A', 0x00],
  ['D', 0x01],
  ['AU', 0x02],
  ['AL', 0x03],
  ['ML', 0x11],
  ['SP', 0x13],
];

const FLAGS: ReadonlyArray<readonly [string, number]> = [
  ['OI', 0x01],
  ['CI', 0x02],
  ['NP', 0x04],
  ['IO', 0x08],
  ['ID', 0x10],
  ['SA', 0x40],
  ['FA', 0x80],
];

const RIGHTS: ReadonlyArray<readonly [string, number]> = [
  ['FA', 0x1f01ff],
  ['FR', 0x120089],
  ['FW', 0x120116],
  ['FX', 0x1200a0],
  ['GA', 0x10000000],
  ['GR', 0x80000000],
  ['GW', 0x40000000],
  ['GX', 0x20000000],
  ['CC', 0x1],
  ['DC', 0x2],
  ['LC', 0x4],
  ['SW', 0x8],
  ['RP', 0x10],
  ['WP', 0x20],
  ['DT', 0x40],
  ['LO', 0x80],
  ['CR', 0x100],
  ['SD', 0x10000],
  ['RC', 0x20000],
  ['WD', 0x40000],
  ['WO', 0x80000],
];
const rightsByName = new Map(RIGHTS);
const nameOfRights = new Map(RIGHTS.map(([name, mask]) => [mask, name]));

const LIST_FLAGS: ReadonlyArray<readonly [string, { readonly D: number; readonly S: number }]> = [
  ['P', { D: Control.DaclProtected, S: Control.SaclProtected }],
  ['AR', { D: 0x0100, S: 0x0200 }],
  ['AI', { D: Control.DaclAutoInherited, S: Control.SaclAutoInherited }],
];

function malformed(text: string): Error {
  return invalidArgument(`"${text.slice(0, 200)}" is no security descriptor`);
}

function parseSid(text: string): string {
  const sid = sidOfAlias.get(text) ?? text;
  writeSid(sid); // throws for what is none
  return sid;
}

function parseLetters(text: string, table: ReadonlyMap<string, number>): number {
  if (text.length % 2 !== 0) throw malformed(text);
  let bits = 0;
  for (let i = 0; i < text.length; i += 2) {
    const bit = table.get(text.slice(i, i + 2));
    if (bit === undefined) throw malformed(text);
    bits = (bits | bit) >>> 0;
  }
  return bits;
}

function parseRights(text: string): number {
  if (!/^[0-9]/.test(text)) return parseLetters(text, rightsByName);
  if (!/^(?:0x[0-9a-f]{1,8}|[0-9]{1,10})$/i.test(text) || Number(text) > 0xffffffff) throw malformed(text);
  return Number(text);
}

function parseAce(text: string): Ace {
  const fields = text.split(';');
  const [typeName, flags, rights, object, inherited, sid] = fields as [string, string, string, string, string, string];
  const type = TYPES.find(([name]) => name === typeName)?.[1];
  if (fields.length !== 6 || type === undefined || object !== '' || inherited !== '') throw malformed(`(${text})`);
  return plainAce(type, parseLetters(flags, new Map(FLAGS)), parseRights(rights), parseSid(sid));
}

function parseList(which: 'D' | 'S', text: string): { readonly control: number; readonly acl: Acl } {
  const match = /^((?:P|AR|AI)*)((?:\([^()]*\))*)$/.exec(text);
  if (match === null) throw malformed(text);
  let control = 0;
  for (const [flag] of (match[1] as string).matchAll(/P|AR|AI/g))
    control |= LIST_FLAGS.find(([name]) => name === flag)?.[1][which] ?? 0;
  const entries = Array.from((match[2] as string).matchAll(/\(([^()]*)\)/g), (m) => parseAce(m[1] as string));
  return { control, acl: { revision: 2, entries } };
}

/** Throws InvalidArgument. */
export function parseSddl(text: string): SecurityDescriptor {
  const match = /^(?:O:([^:()]+?))?(?:G:([^:()]+?))?(?:D:([^:]*?))?(?:S:([^:]*))?$/.exec(text);
  if (match === null || text === '') throw malformed(text);
  const [, owner, group, dacl, sacl] = match;
  const d = dacl === undefined ? undefined : parseList('D', dacl);
  const s = sacl === undefined ? undefined : parseList('S', sacl);
  return {
    control: (d?.control ?? 0) | (s?.control ?? 0) | Control.SelfRelative,
    owner: owner === undefined ? undefined : parseSid(owner),
    group: group === undefined ? undefined : parseSid(group),
    dacl: d?.acl,
    sacl: s?.acl,
  };
}

function formatSid(sid: string): string {
  return aliasOfSid.get(sid) ?? sid;
}

function formatAce(ace: Ace): string {
  const type = TYPES.find(([, value]) => value === ace.type)?.[0];
  const flags = FLAGS.filter(([, bit]) => (ace.flags & bit) !== 0).map(([name]) => name);
  if (type === undefined || !isPlainAce(ace.type)) {
    const body = Buffer.from(ace.body).toString('hex');
    return `(0x${ace.type.toString(16)};${flags.join('')};0x${body};;;)`;
  }
  const { mask, sid } = aceGrant(ace);
  return `(${type};${flags.join('')};${nameOfRights.get(mask) ?? `0x${mask.toString(16)}`};;;${formatSid(sid)})`;
}

function formatList(which: 'D' | 'S', control: number, acl: Acl | null | undefined): string {
  if (acl === undefined) return '';
  const flags = LIST_FLAGS.filter(([, bits]) => (control & bits[which]) !== 0).map(([name]) => name);
  const entries = acl === null ? 'NO_ACCESS_CONTROL' : acl.entries.map(formatAce).join('');
  return `${which}:${flags.join('')}${entries}`;
}

/** For people and for tests. Entries of rare types are shown with their body in hexadecimal, which {@link parseSddl} refuses. */
export function formatSddl(sd: SecurityDescriptor): string {
  return [
    sd.owner === undefined ? '' : `O:${formatSid(sd.owner)}`,
    sd.group === undefined ? '' : `G:${formatSid(sd.group)}`,
    formatList('D', sd.control, sd.dacl),
    formatList('S', sd.control, sd.sacl),
  ].join('');
}
