import assert from 'node:assert/strict';
import test from 'node:test';
import { compactJson, indentJson } from './index.ts';

void test('white space between tokens goes, strings keep theirs, HTML is escaped', () => {
  assert.equal(compactJson('{ "a b" : [ 1.0 ,\n "x\\" <y>" ] }'), '{"a b":[1.0,"x\\" \\u003cy\\u003e"]}');
});

void test('indented as Go does: empty lists and objects stay in one piece', () => {
  const value = { a: [], b: {}, c: [1, { d: 'x:{,' }], e: null };
  assert.equal(indentJson(JSON.stringify(value)), JSON.stringify(value, null, 2));
});

void test('a string of megabytes is no trouble', () => {
  const text = JSON.stringify({ data: 'ab"'.repeat(2_000_000) });
  assert.equal(indentJson(compactJson(text)).length, text.length + 5);
});
