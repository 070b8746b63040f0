/** Cables between network namespaces (veth(4)), made by rtnetlink(7) in one message, addressed by netdevice(7). */
import { closeSync, constants, openSync } from 'node:fs';
import { cString, errnoError, fail, libcFunction } from './libc.ts';
import { inNetworkNamespace } from './network-namespace.ts';

/** One end: an interface in the namespace that `namespace` holds. */
export interface CableEnd {
  readonly namespace: string;
  readonly name: string;
  /** IPv4. */
  readonly address: string;
}

const socket = libcFunction('int socket(int domain, int type, int protocol)');
const send = libcFunction('long send(int fd, void *bytes, size_t length, int flags)');
const recv = libcFunction('long recv(int fd, void *bytes, size_t length, int flags)');
const ioctl = libcFunction('int ioctl(int fd, unsigned long request, void *argument)');

const AF_INET = 2;
const AF_NETLINK = 16;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NLMSG_ERROR = 2;
const RTM_NEWLINK = 16;
/** NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL and NLM_F_CREATE. */
const CREATE_FLAGS = 0x605;
const HEADER_BYTES = 16;
const IFINFO_BYTES = 16;
const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCSIFADDR = 0x8916;
const SIOCSIFNETMASK = 0x891c;
const IFF_UP = 1;
const IFREQ_BYTES = 40;
const NAME_BYTES = 16;

function attribute(type: number, ...parts: Uint8Array[]): Buffer {
  const value = Buffer.concat(parts);
  const bytes = Buffer.alloc((4 + value.length + 3) & ~3);
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  value.copy(bytes, 4);
  return bytes;
}

/** A new pair of which this end is in the calling thread's namespace. */
function createMessage(name: string, peer: string, peerNamespace: number): Buffer {
  const target = Buffer.alloc(4);
  target.writeInt32LE(peerNamespace);
  const there = [Buffer.alloc(IFINFO_BYTES), attribute(IFLA_IFNAME, cString(peer)), attribute(IFLA_NET_NS_FD, target)];
  const body = Buffer.concat([
    Buffer.alloc(IFINFO_BYTES),
    attribute(IFLA_IFNAME, cString(name)),
    attribute(
      IFLA_LINKINFO,
      attribute(IFLA_INFO_KIND, cString('veth')),
      attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, ...there)),
    ),
  ]);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(HEADER_BYTES + body.length, 0);
  header.writeUInt16LE(RTM_NEWLINK, 4);
  header.writeUInt16LE(CREATE_FLAGS, 6);
  header.writeUInt32LE(1, 8);
  return Buffer.concat([header, body]);
}

function withSocket<T>(domain: number, type: number, work: (fd: number) => T): T {
  const fd = Number(socket(domain, type | SOCK_CLOEXEC, 0));
  if (fd < 0) fail('socket');
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}

function create(name: string, peer: string, peerNamespace: number): void {
  const message = createMessage(name, peer, peerNamespace);
  withSocket(AF_NETLINK, SOCK_RAW, (fd) => {
    if (Number(send(fd, message, message.length, 0)) !== message.length) fail('send', name);
    // The kernel answers before send() returns.
    const answer = Buffer.alloc(4096);
    if (Number(recv(fd, answer, answer.length, 0)) < HEADER_BYTES + 4) fail('recv', name);
    const errno = answer.readUInt16LE(4) === NLMSG_ERROR ? -answer.readInt32LE(HEADER_BYTES) : 71;
    if (errno !== 0) throw errnoError(errno, 'veth', name);
  });
}

function interfaceRequest(name: string): Buffer {
  const bytes = cString(name);
  if (bytes.length > NAME_BYTES) throw errnoError(22, 'ioctl', name);
  const request = Buffer.alloc(IFREQ_BYTES);
  bytes.copy(request);
  return request;
}

function setAddress(fd: number, what: number, name: string, address: string): void {
  const request = interfaceRequest(name);
  request.writeUInt16LE(AF_INET, NAME_BYTES);
  Buffer.from(address.split('.').map(Number)).copy(request, NAME_BYTES + 4);
  if (ioctl(fd, what, request) !== 0) fail('ioctl', name);
}

function setUp(fd: number, name: string): void {
  const request = interfaceRequest(name);
  if (ioctl(fd, SIOCGIFFLAGS, request) !== 0) fail('ioctl', name);
  request.writeInt16LE(request.readInt16LE(NAME_BYTES) | IFF_UP, NAME_BYTES);
  if (ioctl(fd, SIOCSIFFLAGS, request) !== 0) fail('ioctl', name);
}

function address({ namespace, name, address: ip }: CableEnd, mask: string): void {
  inNetworkNamespace(namespace, () =>
    withSocket(AF_INET, SOCK_DGRAM, (fd) => {
      setAddress(fd, SIOCSIFADDR, name, ip);
      setAddress(fd, SIOCSIFNETMASK, name, mask);
      setUp(fd, name);
      setUp(fd, 'lo');
    }),
  );
}

/**
 * Connects two namespaces, which then reach each other and nothing else: both ends and both loopbacks are up, there is no
 * route. It ends with either namespace. `mask` is IPv4.
 */
export function connectNamespaces(one: CableEnd, other: CableEnd, mask: string): void {
  const there = openSync(other.namespace, constants.O_RDONLY);
  try {
    inNetworkNamespace(one.namespace, () => create(one.name, other.name, there));
  } finally {
    closeSync(there);
  }
  address(one, mask);
  address(other, mask);
}
