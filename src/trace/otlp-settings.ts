/** Where spans go, by OpenTelemetry's environment variables (specification: OTLP exporter configuration). */
import { readFileSync } from 'node:fs';
import { BuildError, Code, wrapError } from '../base/index.ts';
import { systemAuthorities } from '../host/index.ts';
import { pairsOf } from './resource.ts';

export interface OtlpSettings {
  readonly protocol: 'grpc' | 'http/protobuf';
  /** Of `http/protobuf` the whole URL; of `grpc` an address as rpc's `dial` takes it. */
  readonly endpoint: string;
  /** Authorities, PEM; undefined: no TLS. */
  readonly ca: string | undefined;
  readonly headers: readonly (readonly [string, string])[];
  readonly timeoutMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const TIMEOUT_MS = 10_000;

/**
 * Undefined where no collector is named. Throws Unknown in upstream's words for an exporter or a protocol that is not
 * supported, unless OTEL_IGNORE_ERROR is true.
 */
export function otlpSettings(env: Environment): OtlpSettings | undefined {
  try {
    return read(env);
  } catch (error) {
    if (/^(1|t|true)$/i.test(env.OTEL_IGNORE_ERROR ?? '')) return undefined;
    throw error;
  }
}

function read(env: Environment): OtlpSettings | undefined {
  const wanted = env.OTEL_TRACES_EXPORTER ?? '';
  const own = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? '';
  const common = env.OTEL_EXPORTER_OTLP_ENDPOINT ?? '';
  if (wanted !== '' && wanted !== 'otlp' && wanted !== 'none') {
    throw new BuildError(Code.Unknown, `unsupported opentelemetry exporter ${wanted}`);
  }
  if (wanted === 'none' || (wanted === '' && own === '' && common === '')) return undefined;
  const either = (name: string): string =>
    env[`OTEL_EXPORTER_OTLP_TRACES_${name}`] || env[`OTEL_EXPORTER_OTLP_${name}`] || '';
  const protocol = either('PROTOCOL') || 'grpc';
  const shared = {
    headers: pairsOf(either('HEADERS')),
    timeoutMs: Number(either('TIMEOUT')) || TIMEOUT_MS,
  };
  if (protocol === 'grpc') {
    const { address, secure } = grpcTarget(own || common || 'http://localhost:4317', either('INSECURE'));
    return { protocol, endpoint: address, ca: secure ? authorities(either('CERTIFICATE')) : undefined, ...shared };
  }
  if (protocol === 'http/protobuf') {
    // The endpoint for traces is whole; the common one is the place below which all kinds have theirs.
    const endpoint = own || `${(common || 'http://localhost:4318').replace(/\/+$/, '')}/v1/traces`;
    if (!/^https?:\/\/./.test(endpoint)) throw new BuildError(Code.Unknown, `invalid otlp endpoint ${endpoint}`);
    const ca = endpoint.startsWith('https:') ? authorities(either('CERTIFICATE')) : undefined;
    return { protocol, endpoint, ca, ...shared };
  }
  throw new BuildError(Code.Unknown, `unsupported otlp protocol ${protocol}`);
}

function grpcTarget(endpoint: string, insecure: string): { address: string; secure: boolean } {
  if (endpoint.startsWith('unix:')) return { address: endpoint.replace(/^unix:(?!\/\/)/, 'unix://'), secure: false };
  const match = /^(?:(https?):\/\/)?((?:\[[^\]]+\]|[^:/]+)(?::\d+)?)(?:\/.*)?$/.exec(endpoint);
  if (match === null) throw new BuildError(Code.Unknown, `invalid otlp endpoint ${endpoint}`);
  const [, scheme, host] = match;
  const secure = scheme === undefined ? !/^true$/i.test(insecure) : scheme === 'https';
  return { address: `tcp://${/:\d+$/.test(host) ? host : `${host}:4317`}`, secure };
}

function authorities(file: string): string {
  if (file === '') return systemAuthorities().join('\n');
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw wrapError(error, 'failed to read the otlp collector certificate');
  }
}
