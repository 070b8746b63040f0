import type { ArchiveLimits } from '../limits.ts';
import { TarReader } from '../tar-reader.ts';
import { LayerRules } from './layer-rules.ts';
import type { LayerFinding, LayerRulesOptions } from './layer-rules.ts';

/** More are not listed: a layer of another system breaks a rule with every entry. */
const MAX_FINDINGS = 1000;

/**
 * All that is wrong with a Windows layer, in the order of its entries. `tar` is not compressed. Throws InvalidArgument for bytes
 * that are no tar.
 */
export async function checkWindowsLayer(
  tar: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: LayerRulesOptions & { readonly limits?: Partial<ArchiveLimits> },
): Promise<readonly LayerFinding[]> {
  const findings: LayerFinding[] = [];
  const rules = new LayerRules(options, (finding) => {
    if (findings.length < MAX_FINDINGS) findings.push(finding);
  });
  const reader = new TarReader(
    {
      entry: (header) => void rules.entry(header),
      data: (bytes) => rules.data(bytes),
      entryEnd: () => rules.entryEnd(),
    },
    options.limits,
  );
  for await (const chunk of tar) reader.write(chunk);
  reader.end();
  rules.finish();
  return findings;
}
