import { BuildError, Code } from '../base/index.ts';
import { formatPlatform, parsePlatform } from '../oci/index.ts';

type Kind = 'index' | 'index-descriptor' | 'manifest' | 'manifest-descriptor';

interface Annotation {
  readonly kind: Kind;
  /** '' for all platforms. */
  readonly platform: string;
  readonly key: string;
  readonly value: string;
}

export interface PlatformAnnotations {
  readonly index: ReadonlyMap<string, string>;
  readonly indexDescriptor: ReadonlyMap<string, string>;
  readonly manifest: ReadonlyMap<string, string>;
  readonly manifestDescriptor: ReadonlyMap<string, string>;
}

/**
 * exporter/containerimage/exptypes/annotations.go upstream, and beyond it versions and features of systems, which upstream's
 * pattern has no characters for: `annotation-manifest[windows(10.0.20348)/amd64].key`.
 */
const KEY = /^annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/.()+%-]+)\])?\.(\S+)$/;
const KINDS: ReadonlySet<string> = new Set<Kind>(['index', 'index-descriptor', 'manifest', 'manifest-descriptor']);

/** What users and frontends want to be written on manifests, the index and their descriptors. */
export class Annotations {
  readonly #all: readonly Annotation[];

  private constructor(all: readonly Annotation[]) {
    this.#all = all;
  }

  /** Takes the keys of annotations out of `attrs`; the others are the rest. */
  static parse(attrs: Iterable<readonly [string, string]>): { annotations: Annotations; rest: Map<string, string> } {
    const all: Annotation[] = [];
    const rest = new Map<string, string>();
    for (const [name, value] of attrs) {
      const m = KEY.exec(name);
      if (m === null) {
        rest.set(name, value);
        continue;
      }
      const [, kind = 'manifest', platform, key = ''] = m;
      if (!KINDS.has(kind)) throw new BuildError(Code.Unknown, `unrecognized annotation type ${kind}`);
      all.push({
        kind: kind as Kind,
        platform: platform === undefined ? '' : formatPlatform(parsePlatform(platform)),
        key,
        value,
      });
    }
    return { annotations: new Annotations(all), rest };
  }

  /** Those of `other` win. */
  merge(other: Annotations): Annotations {
    return new Annotations([...this.#all, ...other.#all]);
  }

  get platforms(): ReadonlySet<string> {
    return new Set(this.#all.map((a) => a.platform).filter((platform) => platform !== ''));
  }

  /** Some are for something that Docker's media types have no place for. */
  get needOci(): boolean {
    return this.#all.some((a) => a.kind !== 'manifest');
  }

  /** Those for manifests of the platform, by any of its names, go before those for all. */
  of(platform: readonly string[]): PlatformAnnotations {
    const pick = (kind: Kind, matches: (a: Annotation) => boolean): [string, string][] =>
      this.#all.filter((a) => a.kind === kind && matches(a)).map((a) => [a.key, a.value]);
    const both = (kind: Kind): Map<string, string> =>
      new Map([...pick(kind, (a) => a.platform === ''), ...pick(kind, (a) => platform.includes(a.platform))]);
    return {
      index: new Map(pick('index', () => true)),
      indexDescriptor: new Map(pick('index-descriptor', () => true)),
      manifest: both('manifest'),
      manifestDescriptor: both('manifest-descriptor'),
    };
  }
}
