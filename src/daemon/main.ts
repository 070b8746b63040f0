/** The program buildkitd. */
import {
  configureLog,
  invalidArgument,
  logger,
  parseCommandLine,
  parseLevel,
  renderHelp,
  toBuildError,
  UsageError,
  VERSION,
} from '../base/index.ts';
import type { ParsedCommand } from '../base/index.ts';
import { notifySystemd } from '../host/index.ts';
import type { CodeRecorder } from '../launch/index.ts';
import { loadConfig } from './config.ts';
import type { DaemonConfig } from './config.ts';
import { applyFlags, buildkitdCommand } from './flags.ts';
import { startDaemon } from './start-daemon.ts';

/** Given by src/launch to the bundle; sources that Node runs as they are have none. */
declare const $recorder: CodeRecorder | undefined;

function fail(message: string): never {
  process.stderr.write(`buildkitd: ${message}\n`);
  process.exit(1);
}

function parse(argv: readonly string[]): ParsedCommand<unknown> {
  try {
    return parseCommandLine(buildkitdCommand, argv);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`Incorrect Usage: ${error.message}\n\n`);
      process.stdout.write(renderHelp([buildkitdCommand], VERSION.version));
    }
    throw error;
  }
}

function configure(argv: readonly string[]): DaemonConfig {
  if (argv.includes('--version') || argv.includes('-v')) {
    process.stdout.write(`buildkitd ${VERSION.package} ${VERSION.version} ${VERSION.revision}\n`);
    process.exit(0);
  }
  const parsed = parse(argv);
  if (parsed.flags.bool('help')) {
    process.stdout.write(renderHelp(parsed.path, VERSION.version));
    process.exit(0);
  }
  if (parsed.args.length > 0) throw invalidArgument(`unexpected argument ${parsed.args[0]}`);
  const config = applyFlags(loadConfig(parsed.flags.string('config')), parsed.flags);
  const level = config.trace ? 'trace' : config.debug ? 'debug' : parseLevel(config.logLevel || 'info');
  if (level === undefined) throw invalidArgument(`not a valid logrus Level: ${JSON.stringify(config.logLevel)}`);
  configureLog({ level, format: config.logFormat });
  return config;
}

async function main(): Promise<void> {
  const config = configure(process.argv.slice(2));
  // Something that nobody waited for went wrong: the state is not known any more, so it ends with all that is known of it.
  const dump = (error: unknown): void => {
    logger.error('unhandled failure, the daemon ends', { error: (error as Error)?.stack ?? error });
    process.exit(70);
  };
  process.on('unhandledRejection', dump);
  process.on('uncaughtException', dump);
  const recorder = typeof $recorder === 'undefined' ? undefined : $recorder;
  const daemon = await startDaemon(config, recorder);
  recorder?.started();
  notifySystemd('READY=1');
  const stop = (signal: string): void => {
    logger.info(`stopping server`, { signal });
    notifySystemd('STOPPING=1');
    daemon.close().then(
      () => process.exit(0),
      (error: unknown) => fail(toBuildError(error).message),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

main().catch((error: unknown) => {
  fail(toBuildError(error).message);
});
