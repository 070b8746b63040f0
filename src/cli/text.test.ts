import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuildError, Code, jsonDetail, parseCommandLine, UsageError } from '../base/index.ts';
import { renderErrorContext } from './error-report.ts';
import { program } from './program.ts';
import { alignTable } from './table.ts';
import { parseTemplate } from './template.ts';

void test('command lines: global flags, aliases, repeated flags, errors', () => {
  const line = ['--addr', 'unix:///x', 'b', '--opt', 'a=1,2', '--opt=b=3', '-o', 'type=local,dest=x', '--no-cache'];
  const { path, flags } = parseCommandLine(program, line);
  assert.deepEqual(
    path.map((c) => c.name),
    ['buildctl', 'build'],
  );
  assert.deepEqual(flags.list('opt'), ['a=1,2', 'b=3']);
  assert.deepEqual(flags.list('output'), ['type=local,dest=x']);
  assert.equal(flags.string('addr'), 'unix:///x');
  assert.equal(flags.bool('no-cache'), true);
  assert.throws(() => parseCommandLine(program, ['build', '--nosuch']), UsageError);
  assert.throws(() => parseCommandLine(program, ['prune', '--keep-storage', 'x']), UsageError);
  const isGlobal =
    (expected: boolean) =>
    (error: unknown): boolean =>
      error instanceof UsageError && error.isGlobal === expected;
  assert.throws(() => parseCommandLine(program, ['--nosuch', 'build']), isGlobal(true));
  assert.throws(() => parseCommandLine(program, ['build', '--nosuch']), isGlobal(false));
  assert.equal(parseCommandLine(program, ['prune', '--keep-storage', '1.5']).flags.float('keep-storage'), 1.5);
});

void test('tables align by tabs; a cell ends with its tab', () => {
  assert.equal(alignTable('A\tBB\nlonger than 8\tx\n'), 'A\t\tBB\nlonger than 8\tx\n');
  assert.equal(alignTable('Reclaimable:\t0B\nTotal:\t0B\n'), 'Reclaimable:\t0B\nTotal:\t\t0B\n');
  assert.equal(alignTable('a:\tx\nbbb:\ty\n', { padding: 'spaces' }), 'a:   x\nbbb: y\n');
});

void test('templates: json, fields, range, if, trimming, errors', () => {
  const value = { id: 'a', Ref: { n: 1n }, list: [{ x: 1 }, { x: 2 }], none: [] };
  assert.equal(parseTemplate('json')({ a: 1n, h: '<' }), '{"a":1,"h":"<"}');
  assert.equal(parseTemplate('{{.ID}} {{.Ref.N}}')(value), 'a 1');
  assert.equal(parseTemplate('{{range .List}}{{.X}};{{end}}{{if .None}}y{{else}}n{{end}}')(value), '1;2;n');
  assert.equal(parseTemplate('a {{- len .List -}} b')(value), 'a2b');
  assert.throws(() => parseTemplate('{{.ID'), /unclosed action/);
  assert.throws(() => parseTemplate('{{range .List}}'), /unexpected EOF/);
  assert.throws(() => parseTemplate('{{.Nosuch}}')(value), /can't evaluate field Nosuch/);
});

void test('an error shows its source and what a policy said', () => {
  const data = Buffer.from('FROM scratch\nCOPY a /a\nCOPY nope /a\nCOPY a /b\n').toString('base64');
  const error = new BuildError(Code.Unknown, 'x', {
    details: [
      jsonDetail('errdefs.Source', {
        info: { filename: 'Bad', data },
        ranges: [{ start: { line: 3 }, end: { line: 3 } }],
      }),
      jsonDetail('policysession.DecisionResponse', { denyMessages: [{ message: 'no' }] }),
    ],
  });
  assert.equal(
    renderErrorContext(error),
    [
      'Bad:3',
      '--------------------',
      '   1 |     FROM scratch',
      '   2 |     COPY a /a',
      '   3 | >>> COPY nope /a',
      '   4 |     COPY a /b',
      '   5 |     ',
      '--------------------',
      'policy deny: no',
      '',
    ].join('\n'),
  );
});

void test('details that are no JSON, or point nowhere, are left out', () => {
  const typeUrl = 'github.com/moby/buildkit/errdefs.Source+json';
  const far = Buffer.from(JSON.stringify({ info: { filename: 'x', data: '' }, ranges: [{ start: { line: 99 } }] }));
  const details = [
    { typeUrl, value: Buffer.from('{') },
    { typeUrl, value: far },
  ];
  assert.equal(renderErrorContext(new BuildError(Code.Unknown, 'x', { details })), '');
});
