/**
 * Layers of Windows images as values: their rules, names as Windows compares them, what their PAX records say, security
 * descriptors. In come headers of tar entries and bytes, out go findings and records. Deliberately absent: files (storage/), and
 * what differs between Windows and Linux in Dockerfiles.
 */
export { escapeFault, foldName, nameFault, pathFault } from './names.ts';
export { readSid, writeSid } from './sid.ts';
export {
  aceGrant,
  Control,
  encodeSecurityDescriptor,
  isPlainAce,
  parseSecurityDescriptor,
  plainAce,
} from './security-descriptor.ts';
export type { Ace, Acl, SecurityDescriptor } from './security-descriptor.ts';
export { formatSddl, parseSddl } from './sddl.ts';
export {
  FileAttribute,
  formatCreationTime,
  hasWindowsRecords,
  readFileRecords,
  WindowsRecord,
  writeFileRecords,
} from './records.ts';
export type { FileRecords } from './records.ts';
export { describeFinding, isWindowsEntry, LayerRules, splitRoot } from './layer-rules.ts';
export type { LayerFinding, LayerRoot, LayerRule, LayerRulesOptions, WindowsEntry } from './layer-rules.ts';
export { checkWindowsLayer } from './check-layer.ts';
export { defaultAttributes, defaultDescriptor, ownedDescriptor } from './default-records.ts';
export {
  decodeKeptRecords,
  encodeKeptRecords,
  isKeptRecords,
  KEPT_RECORDS,
  MAX_KEPT_STREAMS,
  NOTHING_KEPT,
} from './kept-records.ts';
export type { KeptRecords } from './kept-records.ts';
export { isPlainTarget, linkTargetOnLinux } from './links.ts';
export { FolderSpelling, TreeSpelling } from './spelling.ts';
export type { SpellingSource } from './spelling.ts';
