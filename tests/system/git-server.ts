/** Repositories below a folder, made by real git and served on loopback by git's own `http-backend`. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';

const env = {
  PATH: process.env.PATH,
  HOME: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_COMMITTER_DATE: '1000000000 +0000',
};

export class GitServer {
  readonly #folder: string;
  readonly #server = createServer((request, response) => this.#answer(request, response));
  /** `user:password` that requests must carry. */
  login: string | undefined;
  /** Requests are taken and never answered. */
  isStalled = false;
  /** Of the requests: the path with its query. */
  readonly asked: string[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(folder: string): Promise<GitServer> {
    const server = new GitServer(folder);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  url(name: string): string {
    return `http://${this.host}/${name}.git`;
  }

  git(name: string, ...args: string[]): string {
    const cwd = join(this.#folder, `${name}.git`);
    return execFileSync('git', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  }

  create(name: string): void {
    mkdirSync(join(this.#folder, `${name}.git`), { recursive: true });
    this.git(name, 'init', '-q', '-b', 'main');
    this.git(name, 'config', 'user.email', 'me@example.com');
    this.git(name, 'config', 'user.name', 'me');
  }

  /** The id of the new commit. */
  commit(name: string, files: Readonly<Record<string, string>>): string {
    for (const [path, text] of Object.entries(files)) {
      const file = join(this.#folder, `${name}.git`, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    this.git(name, 'add', '.');
    this.git(name, 'commit', '-q', '-m', 'x');
    return this.git(name, 'rev-parse', 'HEAD');
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const [path, query = ''] = (request.url ?? '').split('?');
    this.asked.push(request.url ?? '');
    if (this.isStalled) return;
    if (this.login !== undefined) {
      const wanted = `basic ${Buffer.from(this.login).toString('base64')}`;
      if (request.headers.authorization?.toLowerCase() !== wanted.toLowerCase()) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
        return;
      }
    }
    const backend = spawn('git', ['http-backend'], {
      env: {
        ...env,
        GIT_PROJECT_ROOT: this.#folder,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'safe.directory',
        GIT_CONFIG_VALUE_0: '*',
        PATH_INFO: path.replace(/^(\/[^/]+\.git)/, '$1/.git'),
        QUERY_STRING: query,
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    request.pipe(backend.stdin);
    backend.stdin.on('error', () => {});
    const parts: Buffer[] = [];
    backend.stdout.on('data', (part: Buffer) => void parts.push(part));
    backend.once('close', () => {
      const all = Buffer.concat(parts);
      const end = all.indexOf('\r\n\r\n');
      const headers = all.subarray(0, Math.max(0, end)).toString('latin1').split('\r\n');
      let status = 200;
      for (const line of headers) {
        const [name, ...value] = line.split(': ');
        if (name === 'Status') status = Number(value[0].slice(0, 3));
        else if (name !== '') response.setHeader(name, value.join(': '));
      }
      response.writeHead(status).end(all.subarray(end + 4));
    });
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
