/**
 * The kernel boundary: paths held in a root, mounts, attributes, devices, network namespaces, terminals, locks, child processes. All calls but spawn and sync are
 * synchronous and may be used in worker threads. Deliberately absent: anything that knows what the files are for.
 */
export { openBeneath, openInRoot, resolveInRoot } from './in-root.ts';
export { mount, unmount } from './mount.ts';
export type { HostMount } from './mount.ts';
export { inNetworkNamespace, makeNetworkNamespace, removeBridge } from './network-namespace.ts';
export { connectNamespaces } from './veth.ts';
export type { CableEnd } from './veth.ts';
export { listenTcp, makeTcpSocket } from './tcp-socket.ts';
export { mountPoints } from './mount-points.ts';
export { systemAuthorities } from './authorities.ts';
export { bootId, linuxKernel, space, syncFileSystem } from './kernel.ts';
export { getXattr, listXattrs, removeXattr, setXattr } from './xattr.ts';
export { trimMemory } from './memory.ts';
export { deviceNumbers, mknod, setOpenFileTimes, setTimes } from './nodes.ts';
export { copyFileRange, reflink } from './copy-bytes.ts';
export { lockFile } from './lock-file.ts';
export { openPseudoTerminal } from './pty.ts';
export type { PseudoTerminal, TerminalSize } from './pty.ts';
export { notifySystemd } from './notify-systemd.ts';
export { spawnProcess } from './spawn-process.ts';
export { startProgram } from './start-program.ts';
export type { StartRequest } from './start-program.ts';
export { runProgram } from './run-program.ts';
export type { ProgramExit, ProgramRequest } from './run-program.ts';
export type { ChildProcess, ProcessExit, SpawnRequest } from './spawn-process.ts';
