import { appendFileSync, closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { invalidArgument, logger, nowNs, randomId, wrapError } from '../../base/index.ts';
import { runCredentialHelper } from '../../client/index.ts';
import type { SolveRequest } from '../../client/index.ts';
import type { StatusResponse } from '../../proto/control.pb.ts';
import { provideAgents, provideAuth, provideSecrets } from '../../session/index.ts';
import type { Attachable } from '../../session/index.ts';
import type { Action, CommandContext } from '../context.ts';
import { startProgress, statusJson } from '../progress/index.ts';
import { CacheMetrics } from './cache-metrics.ts';
import { readPolicy } from './policy-file.ts';
import { parseExportCaches, parseImportCaches } from './caches.ts';
import { readDefinition, requireInput, withoutCache } from './definition.ts';
import { checkEntitlements, parseAuthTls, parseLocals, parseOciLayouts, parseOpts, parseSecrets } from './inputs.ts';
import { metadataJson, writeWhole } from './metadata-file.ts';
import { parseOutputs } from './outputs.ts';
import { parseSsh } from './ssh-agents.ts';

/** A step of the client's own, begun and ended at once. */
function ownStep(name: string): StatusResponse {
  const ns = nowNs();
  const time = { seconds: ns / 1_000_000_000n, nanos: Number(ns % 1_000_000_000n) };
  const vertex = {
    digest: `random:${randomId()}`,
    inputs: [],
    name,
    cached: false,
    started: time,
    completed: time,
    error: '',
    progressGroup: undefined,
    cause: undefined,
  };
  return { vertexes: [vertex], statuses: [], logs: [], warnings: [] };
}

/** Where status messages go beside the display. */
function openMetrics(where: string, context: CommandContext): { metrics: CacheMetrics; end: () => void } | undefined {
  if (where === '') return undefined;
  const metrics = new CacheMetrics();
  if (where === 'stdout' || where === 'stderr') {
    return { metrics, end: () => context.print(metrics.render(), where) };
  }
  writeFileSync(where, '', { mode: 0o600 });
  return { metrics, end: () => appendFileSync(where, metrics.render()) };
}

function printSubrequest(metadata: ReadonlyMap<string, Uint8Array>, context: CommandContext): void {
  const whole = metadata.get('result.txt');
  if (whole !== undefined) {
    context.print(Buffer.from(whole).toString('utf8'));
    return;
  }
  for (const [key, value] of metadata) {
    if (key.startsWith('result.')) context.print(`${key}\n${Buffer.from(value).toString('utf8')}\n`);
  }
}

/** `buildctl build`: flags to a request, the request's progress to the display. */
export const build: Action = async (given, _args, context) => {
  const client = await context.client(given, {
    mayEmbed: true,
    failure: 'listing workers for Build: failed to list workers',
  });
  const tracePath = given.string('trace');
  const trace = tracePath === '' ? undefined : openSync(tracePath, 'a', 0o600);
  let onUse: (name: string) => void = () => {};
  const attachables: Attachable[] = [
    provideAuth({
      helper: runCredentialHelper,
      tls: parseAuthTls(given.list('registry-auth-tlscontext')),
      onUse: (name) => onUse(name),
    }),
  ];
  if (given.isSet('ssh')) attachables.push(provideAgents(parseSsh(given.list('ssh'))));
  if (given.isSet('secret')) attachables.push(await provideSecrets(parseSecrets(given.list('secret'))));
  checkEntitlements(given.list('allow'));
  const ref = randomId();
  const opts = labelled('invalid opt', () => parseOpts(given.list('opt')));
  const request: SolveRequest = {
    ref,
    exports: parseOutputs(given.list('output'), context.stdout),
    cacheExports: parseExportCaches(given.list('export-cache')),
    cacheImports: parseImportCaches(given.list('import-cache')),
    attachables,
    entitlements: given.list('allow'),
    sourcePolicy: readPolicy(given.string('source-policy-file')),
    proxyNetwork: given.bool('proxy-network'),
    localDirs: labelled('invalid local', () => parseLocals(given.list('local'))),
    ociStores: labelled('invalid oci-layout', () => parseOciLayouts(given.list('oci-layout'))),
    onWarning: (message) => logger.warn(message),
    traceParent: context.traceParent,
    signal: context.signal,
  };
  const frontend = given.string('frontend');
  let definition = undefined;
  if (frontend === '') {
    requireInput();
    definition = await readDefinition(context.stdin);
    if (definition.def.length === 0) {
      throw invalidArgument('empty definition sent to build. Specify --frontend instead?');
    }
    if (given.bool('no-cache')) definition = withoutCache(definition);
  } else if (given.bool('no-cache')) opts.set('no-cache', '');
  const isSubrequest = opts.has('requestid');
  if (isSubrequest && !opts.has('frontend.caps')) opts.set('frontend.caps', 'moby.buildkit.frontend.subrequests');

  const metrics = openMetrics(given.string('debug-json-cache-metrics'), context);
  const refFile = given.string('ref-file');
  let answers: ReadonlyMap<string, Uint8Array> = new Map();
  const progress = startProgress(given.string('progress'), context.stderr);
  const onStatus = (status: StatusResponse): void => {
    progress.update(status);
    metrics?.metrics.update(status);
    if (trace !== undefined) writeSync(trace, statusJson(status));
  };
  onUse = (name) => onStatus(ownStep(name));
  try {
    const { exporterResponse } = await client.build(
      async (gateway) => {
        const result = await gateway.solve({
          definition,
          frontend,
          frontendOpt: opts,
          cacheImports: request.cacheImports?.map((c) => ({ type: c.type, attrs: c.attrs })),
        });
        if (isSubrequest) answers = result.metadata;
        return result;
      },
      { ...request, frontendAttrs: opts, onStatus },
      'buildctl',
    );
    for (const [key, value] of exporterResponse) logger.debug(`exporter response: ${key}=${value}`);
    const metadataFile = given.string('metadata-file');
    if (metadataFile !== '' && exporterResponse.size > 0) writeWhole(metadataFile, metadataJson(exporterResponse));
  } finally {
    progress.close();
    if (trace !== undefined) closeSync(trace);
    if (refFile !== '') writeWhole(refFile, ref);
    metrics?.end();
  }
  printSubrequest(answers, context);
};

function labelled<T>(label: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw wrapError(error, label);
  }
}
