/** The names under which steps are shown: `[linux/amd64 build 2/5] RUN make`. */
import { formatPlatform, normalizePlatform, parsePlatform } from '../../../oci/index.ts';
import type { Platform } from '../../../oci/index.ts';
import { expandWord } from '../parse/index.ts';
import type { Env, LexOptions } from '../parse/index.ts';
import type { StageState } from './stage-state.ts';

export function upperCommand(text: string): string {
  const blank = text.indexOf(' ');
  return blank < 0 ? text.toUpperCase() : text.slice(0, blank).toUpperCase() + text.slice(blank);
}

/** The text with its variables; as it was written when that fails. */
export function expandForName(text: string, env: Env, lex: LexOptions): string {
  try {
    return expandWord(text, env, lex).text;
  } catch {
    return text;
  }
}

/** What TARGET* arguments of the stage say that it builds for. */
function targetFromEnv(env: Env): Partial<Platform> | undefined {
  const parts: { os?: string; architecture?: string; variant?: string } = {};
  for (const key of env.keys()) {
    const value = env.get(key) ?? '';
    if (key === 'TARGETPLATFORM') {
      try {
        return parsePlatform(value);
      } catch {
        continue;
      }
    }
    if (key === 'TARGETOS') parts.os = value;
    if (key === 'TARGETARCH') parts.architecture = value;
    if (key === 'TARGETVARIANT') parts.variant = value;
  }
  return Object.keys(parts).length === 0 ? undefined : parts;
}

function crossTarget(base: Platform, target: Partial<Platform> | undefined): string {
  if (target === undefined) return '';
  const p = normalizePlatform({
    ...target,
    os: target.os || base.os,
    architecture: target.architecture || base.architecture,
  });
  if (p.os !== base.os) return `->${formatPlatform(p)}`;
  if (p.architecture === base.architecture) return '';
  return `->${p.architecture}${p.variant === undefined ? '' : `/${p.variant}`}`;
}

/** Counts one step further. */
export function stepName(
  stage: StageState,
  text: string,
  options: { multiPlatform: boolean; platform: Platform | undefined; env: Env },
): string {
  if (stage.stepTotal === 0) return text;
  const { multiPlatform, platform, env } = options;
  let prefix = '[';
  if (multiPlatform && platform !== undefined) {
    prefix += `${formatPlatform(platform)}${crossTarget(platform, targetFromEnv(env))} `;
  }
  if (stage.name !== '') prefix += `${stage.name} `;
  stage.stepIndex++;
  const width = Math.floor(1 + Math.log10(stage.stepTotal));
  prefix += `${String(stage.stepIndex).padStart(width)}/${stage.stepTotal}] `;
  return `${prefix}${stage.inOnbuild ? 'ONBUILD ' : ''}${text}`;
}
