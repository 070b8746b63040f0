import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nowNs } from '../../base/index.ts';
import type { StatusResponse, Vertex, VertexLog, VertexStatus } from '../../proto/control.pb.ts';
import { readPalette } from './colors.ts';
import { mergeIntervals } from './intervals.ts';
import { startProgress } from './index.ts';
import { LogScreen } from './log-screen.ts';
import { PlainDisplay } from './plain.ts';
import { statusJson } from './raw-json.ts';
import { TtyDisplay } from './tty.ts';

const base = nowNs();
const at = (seconds: number): { seconds: bigint; nanos: number } => {
  const ns = base + BigInt(Math.round(seconds * 1e9));
  return { seconds: ns / 1_000_000_000n, nanos: Number(ns % 1_000_000_000n) };
};
const status = (part: Partial<StatusResponse>): StatusResponse => ({
  vertexes: [],
  statuses: [],
  logs: [],
  warnings: [],
  ...part,
});
const vertex = (digest: string, more: Partial<Vertex> = {}): Vertex => ({
  digest,
  inputs: [],
  name: `step ${digest}`,
  cached: false,
  started: undefined,
  completed: undefined,
  error: '',
  progressGroup: undefined,
  cause: undefined,
  ...more,
});
const line = (digest: string, seconds: number, text: string): VertexLog => ({
  vertex: digest,
  timestamp: at(seconds),
  stream: 1n,
  msg: Buffer.from(text),
});
const bytes = (digest: string, id: string, more: Partial<VertexStatus> = {}): VertexStatus => ({
  ID: id,
  vertex: digest,
  name: '',
  current: 0n,
  total: 0n,
  timestamp: at(0),
  started: at(0),
  completed: undefined,
  ...more,
});

function plain(...messages: StatusResponse[]): string {
  let out = '';
  const display = new PlainDisplay((text) => (out += text));
  for (const m of messages) {
    display.update(m);
    display.refresh();
  }
  display.done();
  return out;
}

void test('plain: steps with statuses, logs, cached, warnings', () => {
  const out = plain(
    status({ vertexes: [vertex('a'), vertex('b')] }),
    status({ vertexes: [vertex('a', { started: at(0) })] }),
    status({
      vertexes: [vertex('a', { started: at(0), completed: at(1.26) })],
      statuses: [bytes('a', 'transferring context:', { current: 1234n, completed: at(0.5) })],
    }),
    status({ vertexes: [vertex('b', { started: at(2) })], logs: [line('b', 2.213, 'one\ntw')] }),
    status({ logs: [line('b', 2.5, 'o\n')] }),
    status({
      warnings: [
        { vertex: 'b', level: 1n, short: Buffer.from('careful'), detail: [], url: '', info: undefined, ranges: [] },
      ],
      vertexes: [vertex('b', { started: at(2), completed: at(2.5) })],
    }),
    status({ vertexes: [vertex('c', { started: at(3), completed: at(3), cached: true })] }),
  );
  assert.equal(
    out,
    [
      '#1 step a',
      '#1 transferring context: 1.23kB 0.5s done',
      '#1 DONE 1.3s',
      '',
      '#2 step b',
      '#2 0.213 one',
      '#2 0.213 two',
      '#2 WARN: careful',
      '#2 DONE 0.5s',
      '',
      '#3 step c',
      '#3 CACHED',
      '',
    ].join('\n'),
  );
});

void test('plain: a line that comes with the next start of its step has the time of the start before', () => {
  const out = plain(
    status({ vertexes: [vertex('a', { started: at(0), completed: at(1) })] }),
    status({ vertexes: [vertex('a', { started: at(2) })], logs: [line('a', 0.5, 'old\n'), line('a', 2.25, 'new\n')] }),
    status({ vertexes: [vertex('b', { started: at(4), completed: at(5) })], logs: [line('b', 3.9, 'early\n')] }),
  );
  assert.match(out, /#1 0\.500 old\n#1 0\.250 new\n/);
  assert.match(out, /#2 0\.000 early\n/);
});

void test('plain: failures with their last lines, cancelled steps', () => {
  const out = plain(
    status({ vertexes: [vertex('a', { started: at(0) })] }),
    status({ vertexes: [vertex('b', { started: at(0) })] }),
    status({ logs: [line('a', 12.5, 'boom\n')] }),
    status({
      vertexes: [
        vertex('a', { started: at(0), completed: at(13), error: 'exit code: 1' }),
        vertex('b', { started: at(0), completed: at(14), error: 'process: context canceled' }),
      ],
    }),
  );
  assert.match(out, /#1 12\.50 boom\n#1 ERROR: exit code: 1\n/);
  assert.match(out, /#2 CANCELED\n/);
  assert.ok(out.endsWith('------\n > step a:\n12.50 boom\n------\n'), out);
  assert.equal(out.match(/------/g)?.length, 2);
});

void test('plain: a group is one step, shown with its first strong member', () => {
  const group = { id: 'g', name: 'all of it', weak: false };
  const out = plain(
    status({ vertexes: [vertex('a', { started: at(0), completed: at(1), progressGroup: { ...group, weak: true } })] }),
    status({ vertexes: [vertex('b', { started: at(0.5), completed: at(2), progressGroup: group })] }),
  );
  assert.equal(out, '#1 all of it\n#1 DONE 2.0s\n');
});

void test('plain: running statuses are told again only after some progress', () => {
  const total = 1000n;
  const out = plain(
    status({ vertexes: [vertex('a', { started: at(0) })], statuses: [bytes('a', 'x', { current: 100n, total })] }),
    status({ statuses: [bytes('a', 'x', { current: 120n, total, timestamp: at(1) })] }),
    status({ statuses: [bytes('a', 'x', { current: 200n, total, timestamp: at(2) })] }),
  );
  assert.equal(out, '#1 step a\n#1 x 100B / 1.00kB\n#1 x 200B / 1.00kB 2.0s\n');
});

void test('intervals merge when they touch; one without end takes the rest', () => {
  assert.deepEqual(
    mergeIntervals([
      { start: 5n, stop: 6n },
      { start: 1n, stop: 3n },
      { start: 2n, stop: 4n },
    ]),
    [
      { start: 1n, stop: 4n },
      { start: 5n, stop: 6n },
    ],
  );
  assert.deepEqual(mergeIntervals([{ start: 1n }, { start: 2n, stop: 3n }]), [{ start: 1n }]);
});

void test('rawjson: one line, base64 logs, times, no empty fields', () => {
  const json = statusJson(
    status({ vertexes: [vertex('a', { started: { seconds: 1n, nanos: 5000 } })], logs: [line('a', 0, '<\n')] }),
  );
  assert.ok(json.endsWith('\n') && json.indexOf('\n') === json.length - 1);
  const value = JSON.parse(json);
  assert.deepEqual(value.vertexes, [{ digest: 'a', name: 'step a', started: '1970-01-01T00:00:01.000005Z' }]);
  assert.equal(value.logs[0].data, 'PAo=');
  assert.equal('statuses' in value, false);
});

/** As much of a terminal as the display uses. */
function fakeTerminal(columns: number, rows: number) {
  const screen: string[] = [];
  let row = 0;
  return {
    columns,
    rows,
    raw: '',
    write(text: string) {
      this.raw += text;
      for (const [, escape, char] of text.matchAll(/(\x1b\[[0-9;?]*[A-Za-z])|([\s\S])/g)) {
        if (escape?.endsWith('A')) row -= Number.parseInt(escape.slice(2), 10);
        else if (escape === '\x1b[J') screen.splice(row + 1);
        else if (char === '\n') row++;
        else if (char === '\r') screen[row] = '';
        else if (char !== undefined) screen[row] = (screen[row] ?? '') + char;
        if (char === '\n') screen[row] = '';
        assert.ok(row >= 0, 'the cursor left the screen');
      }
    },
    lines: () => screen.map((l) => l.trimEnd()).filter((l) => l !== ''),
  };
}

void test('tty: header, rows, output of a running step, colours, redraw in place', () => {
  const terminal = fakeTerminal(80, 24);
  const display = new TtyDisplay(terminal, {});
  display.update(status({ vertexes: [vertex('a', { started: at(0) })], logs: [line('a', 0, 'hello\x1b[2J\rHE')] }));
  display.update(status({ logs: [line('a', 0, 'world\n')] }));
  display.refresh();
  display.refresh();
  let lines = terminal.lines();
  assert.match(lines[0], /^\[\+\] Building \d+\.\ds \(0\/1\)$/);
  assert.match(lines[1], /^ => step a +\d+\.\ds$/);
  assert.equal(lines[1].length, 79);
  assert.match(lines[2], /^ => => # HEworld/);
  assert.equal(lines.length, 3);
  display.update(status({ vertexes: [vertex('a', { started: at(0), completed: at(1) })] }));
  display.done();
  lines = terminal.lines();
  assert.match(lines[0], /\(1\/1\) FINISHED$/);
  assert.equal(lines.length, 2);
  assert.match(terminal.raw, /\x1b\[34m => step a +1\.0s\x1b\[0m/);
});

void test('tty: no row is wider or the whole higher than the terminal; unfinished steps stay', () => {
  const terminal = fakeTerminal(40, 8);
  const display = new TtyDisplay(terminal, { NO_COLOR: '1' });
  const running = vertex('run', { name: `${'long '.repeat(20)}\x1b[31mname`, started: at(0) });
  const done = Array.from({ length: 20 }, (_, i) => vertex(`d${i}`, { started: at(0), completed: at(1) }));
  display.update(status({ vertexes: [running, ...done] }));
  display.refresh();
  const lines = terminal.lines();
  assert.ok(lines.length <= 7);
  assert.ok(lines.every((l) => l.length <= 40));
  assert.ok(lines.some((l) => l.startsWith(' => long')));
  assert.ok(!terminal.raw.includes('\x1b[31m'));
});

void test('a log screen follows carriage returns and cursor moves and lets no escape through', () => {
  const screen = new LogScreen(20, 3);
  screen.write('one\ntwo\nthree\nfour 10%\rfour 90%\n\x1b]0;title\x07\x1b[1mbold\x1b[0m \x1b');
  screen.write('[Kx');
  assert.deepEqual(screen.lines(), ['three', 'four 90%', 'bold x']);
});

void test('colours: names, RGB, NO_COLOR', () => {
  assert.equal(readPalette({}).run, '\x1b[34m');
  assert.equal(readPalette({ BUILDKIT_COLORS: 'run=green:error=255,0,0' }).run, '\x1b[32m');
  assert.equal(readPalette({ BUILDKIT_COLORS: 'run=green:error=255,0,0' }).error, '\x1b[38;5;196m');
  assert.deepEqual(readPalette({ NO_COLOR: '1', BUILDKIT_COLORS: 'run=green' }), {});
});

void test('modes: what is unknown, or needs a terminal, is refused', () => {
  let out = '';
  const pipe = { isTTY: false, write: (text: string) => (out += text) };
  assert.throws(() => startProgress('none', pipe), { message: 'invalid progress mode none' });
  assert.throws(() => startProgress('tty', pipe), /failed to get console/);
  const quiet = startProgress('quiet', pipe);
  quiet.update(status({ vertexes: [vertex('a', { started: at(0) })] }));
  quiet.close();
  assert.equal(out, '');
  const auto = startProgress('auto', pipe);
  auto.update(status({ vertexes: [vertex('a', { started: at(0) })] }));
  auto.close();
  assert.equal(out, '#1 step a\n');
});
