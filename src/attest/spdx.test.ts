import assert from 'node:assert/strict';
import test from 'node:test';
import { SpdxDocument } from './index.ts';

void test('files get the layer that they are in, unless something is said of them already', () => {
  const document = SpdxDocument.parse(
    JSON.stringify({
      files: [{ SPDXID: 'a', fileName: 'etc/a' }, { fileName: '/b', comment: 'mine' }, { fileName: '/none' }],
      packages: [{ name: 'p', files: [{ fileName: './c' }] }, null],
      spdxVersion: 'SPDX-2.2',
      creationInfo: { created: 'now', creators: ['Tool: x'] },
      extra: { kept: 1 },
    }),
  );
  assert.ok(document);
  assert.deepEqual([...document.paths], ['/etc/a', '/none', '/c']);
  const text = document.withLayers(
    new Map([
      ['/etc/a', 'sha256:1'],
      ['/b', 'sha256:2'],
      ['/c', 'sha256:3'],
    ]),
  );
  assert.equal(
    text,
    '{"spdxVersion":"SPDX-2.3","creationInfo":{"creators":["Tool: x","Tool: buildkit-v0.32.0"],"created":"now"},' +
      '"packages":[{"name":"p","files":[{"fileName":"./c","comment":"layerID: sha256:3"}]},null],' +
      '"files":[{"fileName":"etc/a","SPDXID":"a","comment":"layerID: sha256:1"},{"fileName":"/b","comment":"mine"},' +
      '{"fileName":"/none"}],"extra":{"kept":1}}',
  );
});

void test('what is no document is none', () => {
  for (const text of ['', '[]', '{}', '{"spdxVersion":"SPDX-3.0"}', 'null']) {
    assert.equal(SpdxDocument.parse(text), undefined, text);
  }
});
