import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionFault } from './faults.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { MAX_HEADER_FIELDS, MAX_HEADER_LIST } from './limits.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const decodeAll = (...blocks: string[]) => {
  const decoder = new HpackDecoder();
  return blocks.map((block) => decoder.decode(hex(block)));
};

void test('each kind of field (RFC 7541, C.2)', () => {
  const one = (block: string) => decodeAll(block)[0];
  assert.deepEqual(one('400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'), [
    'custom-key',
    'custom-header',
  ]);
  assert.deepEqual(one('040c 2f73 616d 706c 652f 7061 7468'), [':path', '/sample/path']);
  assert.deepEqual(one('1008 7061 7373 776f 7264 0673 6563 7265 74'), ['password', 'secret']);
  assert.deepEqual(one('82'), [':method', 'GET']);
});

const REQUESTS = [
  [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
  [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com', 'cache-control', 'no-cache'],
  [
    ':method',
    'GET',
    ':scheme',
    'https',
    ':path',
    '/index.html',
    ':authority',
    'www.example.com',
    'custom-key',
    'custom-value',
  ],
];

void test('requests that share a table (C.3), also with Huffman (C.4)', () => {
  assert.deepEqual(
    decodeAll(
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ),
    REQUESTS,
  );
  assert.deepEqual(
    decodeAll(
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ),
    REQUESTS,
  );
});

void test('responses that push each other out of a small table (C.5, C.6)', () => {
  const date = 'Mon, 21 Oct 2013 20:13:21 GMT';
  const responses = [
    [':status', '302', 'cache-control', 'private', 'date', date, 'location', 'https://www.example.com'],
    [':status', '307', 'cache-control', 'private', 'date', date, 'location', 'https://www.example.com'],
    [
      ':status',
      '200',
      'cache-control',
      'private',
      'date',
      'Mon, 21 Oct 2013 20:13:22 GMT',
      'location',
      'https://www.example.com',
      'content-encoding',
      'gzip',
      'set-cookie',
      'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    ],
  ];
  // The examples' table has 256 bytes: the encoder says so first.
  const small = '3fe101';
  assert.deepEqual(
    decodeAll(
      `${small} 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120
       474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      '4803 3330 37c1 c0bf',
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d
       4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076
       6572 7369 6f6e 3d31`,
    ),
    responses,
  );
  assert.deepEqual(
    decodeAll(
      `${small} 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718
       63c7 8f0b 97c8 e9ae 82ae 43d3`,
      '4883 640e ffc1 c0bf',
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf
       cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    ),
    responses,
  );
});

void test('what is no HPACK is a fault of the connection', () => {
  const bad: Record<string, string> = {
    'index 0': '80',
    'an index beyond the tables': 'be',
    'a name beyond the tables': '7f00 0161',
    'a string longer than the block': '0003 6161',
    'an integer without its end': '7fff ffff',
    'an integer of six bytes': '7fff ffff ffff ff01',
    'an integer of many zeroes': '7f80 8080 8080 8080 00',
    'a table larger than we allow': '3fe2 1f',
    'a table size behind a field': '8220',
    'a name without its value': '0001 61',
    'the end of a string inside Huffman': '0001 6184 ffff ffff',
    'Huffman padded with zeroes': '0001 6181 00',
    'Huffman padded with a whole byte': '0001 6182 1fff',
  };
  for (const [what, block] of Object.entries(bad)) assert.throws(() => decodeAll(block), ConnectionFault, what);
});

void test('a table of size 0 keeps nothing, one that shrinks forgets the oldest', () => {
  assert.throws(() => decodeAll('20 4001 6101 62', 'be'), ConnectionFault);
  // Two entries of 34 bytes, then room for one.
  assert.deepEqual(decodeAll('4001 6101 62 4001 6301 64', '3f03 be')[1], ['c', 'd']);
  assert.throws(() => decodeAll('4001 6101 62 4001 6301 64', '3f03 bf'), ConnectionFault);
});

void test('a list beyond the limits is read to its end and handed to nobody', () => {
  const decoder = new HpackDecoder();
  const big = Buffer.concat([hex('40 01 61 7f a1 1e'), Buffer.alloc(4000, 0x62)]);
  assert.equal(decoder.decode(big)?.[1].length, 4000);
  const repeats = Math.ceil(MAX_HEADER_LIST / 4033) + 1;
  assert.equal(decoder.decode(Buffer.alloc(repeats, 0xbe)), undefined);
  assert.equal(decoder.decode(Buffer.alloc(MAX_HEADER_FIELDS + 1, 0x82)), undefined);
  assert.equal(decoder.decode(hex('be'))?.[0], 'a');
});

void test('what we encode is read back, in a block that uses no table', () => {
  const fields = [
    ':method',
    'POST',
    ':path',
    '/moby.buildkit.v1.Control/Solve',
    'te',
    'trailers',
    'grpc-message',
    '',
    'long',
    'x'.repeat(7e4),
    'name-127'.padEnd(127, '-'),
    'y'.repeat(127),
    'latin',
    'éÿ',
  ];
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  for (let i = 0; i < 2; i++) assert.deepEqual(decoder.decode(encoder.encode(fields)), fields);
});
