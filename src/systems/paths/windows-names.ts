/** Names that a file of Windows cannot have (learn.microsoft.com, "Naming Files, Paths, and Namespaces"). */

/** Devices in every folder, also with an extension; ¹ ² ³ count as digits. */
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])(?: *\..*| *)$/i;
// oxlint-disable-next-line no-control-regex
const FORBIDDEN = /[\0-\x1f<>:"|?*]/;

/** What is wrong with one name of a path; undefined: nothing. `.`, `..` and the empty one are no names. */
export function flawOfName(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return undefined;
  const shown = JSON.stringify(name);
  if (DEVICE.test(name)) return `${shown} is the name of a device`;
  const [forbidden] = FORBIDDEN.exec(name) ?? [];
  if (forbidden === ':') return `${shown} names an alternate data stream`;
  if (forbidden !== undefined) return `${shown} has the character ${JSON.stringify(forbidden)}`;
  if (/[. ]$/.test(name)) return `${shown} ends with a ${name.endsWith('.') ? 'dot' : 'blank'}`;
  return undefined;
}
