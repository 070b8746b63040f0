/** The smallest registry hive that is one: a root key without subkeys or values (regf 1.5), and security descriptors. */

/** `S-1-5-…` in binary: revision, count, authority (big-endian), sub-authorities. */
export function sid(text: string): Buffer {
  const [authority, ...parts] = text.split('-').slice(2).map(Number);
  const bytes = Buffer.alloc(8 + 4 * parts.length);
  bytes.writeUInt8(1, 0);
  bytes.writeUInt8(parts.length, 1);
  bytes.writeUIntBE(authority ?? 0, 2, 6);
  parts.forEach((part, i) => bytes.writeUInt32LE(part, 8 + 4 * i));
  return bytes;
}

/** A self-relative descriptor with a list of who is allowed what: [SID, access mask, ACE flags]. */
export function securityDescriptor(
  owner: string,
  allowed: readonly (readonly [sid: string, mask: number, flags: number])[],
): Buffer {
  const aces = allowed.map(([who, mask, flags]) => {
    const whom = sid(who);
    const ace = Buffer.alloc(8);
    ace.writeUInt8(flags, 1);
    ace.writeUInt16LE(8 + whom.length, 2);
    ace.writeUInt32LE(mask, 4);
    return Buffer.concat([ace, whom]);
  });
  const acl = Buffer.alloc(8);
  acl.writeUInt8(2, 0);
  acl.writeUInt16LE(8 + aces.reduce((sum, ace) => sum + ace.length, 0), 2);
  acl.writeUInt16LE(aces.length, 4);
  const [ownerSid, groupSid] = [sid(owner), sid('S-1-5-18')];
  const head = Buffer.alloc(20);
  head.writeUInt8(1, 0);
  head.writeUInt16LE(0x8004, 2); // self-relative, with such a list
  head.writeUInt32LE(20, 4);
  head.writeUInt32LE(20 + ownerSid.length, 8);
  head.writeUInt32LE(20 + ownerSid.length + groupSid.length, 16);
  return Buffer.concat([head, ownerSid, groupSid, acl, ...aces]);
}

const ADMINISTRATORS = 'S-1-5-32-544';
const BLOCK = 4096;
const NONE = 0xffffffff;

/** A cell in use has its length as a negative number, and lies at a multiple of eight. */
function cell(content: Buffer): Buffer {
  const size = Math.ceil((4 + content.length) / 8) * 8;
  const bytes = Buffer.alloc(size);
  bytes.writeInt32LE(-size, 0);
  content.copy(bytes, 4);
  return bytes;
}

/** 8 KiB. */
export function emptyHive(): Buffer {
  const name = 'ROOT';
  const key = Buffer.alloc(76 + name.length);
  key.write('nk');
  key.writeUInt16LE(0x2c, 2); // the root, not to be deleted, its name in Latin-1
  for (const at of [28, 32, 40, 48]) key.writeUInt32LE(NONE, at); // lists of subkeys, of values; the class
  key.writeUInt16LE(name.length, 72);
  key.write(name, 76, 'latin1');
  const descriptor = securityDescriptor(ADMINISTRATORS, [[ADMINISTRATORS, 0xf003f, 2]]);
  const security = Buffer.alloc(20 + descriptor.length);
  const rootAt = 32;
  const securityAt = rootAt + cell(key).length;
  key.writeUInt32LE(securityAt, 44);
  security.write('sk');
  security.writeUInt32LE(securityAt, 4);
  security.writeUInt32LE(securityAt, 8);
  security.writeUInt32LE(1, 12);
  security.writeUInt32LE(descriptor.length, 16);
  descriptor.copy(security, 20);

  const bin = Buffer.alloc(BLOCK);
  bin.write('hbin');
  bin.writeUInt32LE(BLOCK, 8);
  const cells = Buffer.concat([cell(key), cell(security)]);
  cells.copy(bin, 32);
  bin.writeInt32LE(BLOCK - 32 - cells.length, 32 + cells.length); // the rest is free

  const base = Buffer.alloc(BLOCK);
  base.write('regf');
  base.writeUInt32LE(1, 4);
  base.writeUInt32LE(1, 8);
  base.writeUInt32LE(1, 20);
  base.writeUInt32LE(5, 24);
  base.writeUInt32LE(1, 32);
  base.writeUInt32LE(rootAt, 36);
  base.writeUInt32LE(BLOCK, 40);
  base.writeUInt32LE(1, 44);
  let sum = 0;
  for (let at = 0; at < 508; at += 4) sum ^= base.readUInt32LE(at);
  base.writeUInt32LE(sum >>> 0, 508);
  return Buffer.concat([base, bin]);
}
