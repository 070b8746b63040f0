import { flag } from '../../base/index.ts';
import type { CommandSpec, FlagSpec } from '../../base/index.ts';
import type { CommandContext } from '../context.ts';

const flags: readonly FlagSpec[] = [
  flag(
    'list',
    'output',
    'Define exports for build result, e.g. --output type=image,name=docker.io/username/image,push=true',
    { aliases: ['o'] },
  ),
  flag('string', 'progress', 'Set type of progress (auto, plain, tty, rawjson). Use plain to show container output', {
    default: 'auto',
  }),
  flag('string', 'trace', 'Path to trace file. Defaults to no tracing.'),
  flag('list', 'local', 'Allow build access to the local directory'),
  flag('list', 'oci-layout', 'Allow build access to the local OCI layout'),
  flag('string', 'frontend', 'Define frontend used for build'),
  flag('list', 'opt', 'Define custom options for frontend, e.g. --opt target=foo --opt build-arg:foo=bar'),
  flag('bool', 'no-cache', 'Disable cache for all the vertices'),
  flag(
    'list',
    'export-cache',
    'Export build cache, e.g. --export-cache type=registry,ref=example.com/foo/bar, or --export-cache type=local,dest=path/to/dir',
  ),
  flag(
    'list',
    'import-cache',
    'Import build cache, e.g. --import-cache type=registry,ref=example.com/foo/bar, or --import-cache type=local,src=path/to/dir',
  ),
  flag('list', 'secret', 'Secret value exposed to the build. Format id=secretname,src=filepath'),
  flag('list', 'allow', 'Allow extra privileged entitlement, e.g. network.host, security.insecure, device'),
  flag(
    'list',
    'ssh',
    'Allow forwarding SSH agent or a raw Unix socket to the builder. Format default|<id>[=<socket>[,raw=false]|<key>[,<key>]]',
  ),
  flag('string', 'metadata-file', 'Output build metadata (e.g., image digest) to a file as JSON'),
  flag('string', 'source-policy-file', 'Read source policy file from a JSON file'),
  flag('bool', 'proxy-network', 'Run build with proxy network enforcement'),
  flag('string', 'ref-file', 'Write build ref to a file'),
  flag(
    'list',
    'registry-auth-tlscontext',
    'Overwrite TLS configuration when authenticating with registries, e.g. --registry-auth-tlscontext host=https://myserver:2376,insecure=false,ca=/path/to/my/ca.crt,cert=/path/to/my/cert.crt,key=/path/to/my/key.crt',
  ),
  flag(
    'string',
    'debug-json-cache-metrics',
    "Where to output json cache metrics, use 'stdout' or 'stderr' for standard (error) output.",
  ),
];

export const buildCommand: CommandSpec<CommandContext> = {
  name: 'build',
  aliases: ['b'],
  usage: 'build',
  usageText: `
To build and push an image using Dockerfile:
  $ buildctl build --frontend dockerfile.v0 --opt target=foo --opt build-arg:foo=bar --local context=. --local dockerfile=. --output type=image,name=docker.io/username/image,push=true
`,
  flags,
  // Who asks for help or the version does not load what builds.
  action: async (given, args, context) => (await import('./action.ts')).build(given, args, context),
};
