/** What the labels of a frontend's image say of it. */
import { BuildError, Code, jsonDetail } from '../../base/index.ts';

const NO_NETWORK = 'moby.buildkit.frontend.network.none';
const CAPABILITIES = 'moby.buildkit.frontend.caps';
const INPUTS = 'moby.buildkit.frontend.inputs';

type Labels = Readonly<Record<string, string>>;

/** docker/dockerfile 1.1.6 and 1.1.7 take inputs, though their labels do not say so (frontend/gateway/gateway.go upstream). */
const TAKE_INPUTS: ReadonlySet<string> = new Set([
  'sha256:9ac1c43a60e31dca741a6fe8314130a9cd4c4db0311fbbc636ff992ef60ae76d',
  'sha256:080bd74d8778f83e7b670de193362d8c593c8b14f5c8fb919d28ee8feda0d069',
  'sha256:60543a9d92b92af5088fb2938fb09b2072684af8384399e153e137fe081f8ab4',
  'sha256:de85b2f3a3e8a2f7fe48e8e84a65f6fdd5cd5183afa6412fff9caa6871649c44',
]);

/** A comma list; what follows a `+` is for the frontend itself. */
function listed(text: string | undefined): Set<string> {
  const names = (text ?? '').split(',').map((entry) => entry.split('+', 1)[0]);
  return new Set(names.filter((name) => name !== ''));
}

/** Throws Unimplemented for the first of the wanted capabilities that the image does not promise. */
export function checkFrontendCapabilities(
  image: { readonly labels: Labels; readonly digest: string },
  wanted: { readonly caps: string | undefined; readonly hasInputs: boolean },
): void {
  const promised = listed(image.labels[CAPABILITIES]);
  if (TAKE_INPUTS.has(image.digest)) promised.add(INPUTS);
  const needed = listed(wanted.caps);
  if (wanted.hasInputs) needed.add(INPUTS);
  for (const name of needed) {
    if (promised.has(name)) continue;
    throw new BuildError(Code.Unimplemented, `unsupported frontend capability ${name}`, {
      details: [jsonDetail('errdefs.FrontendCap', { name })],
    });
  }
}

/** As Go's strconv.ParseBool. */
export function needsNoNetwork(labels: Labels): boolean {
  return ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(labels[NO_NETWORK] ?? '');
}
