import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDockerfile } from '../parse/index.ts';
import { parseMount, parseStages } from './index.ts';

const parse = (text: string) => parseStages(parseDockerfile(text).nodes);

void test('stages and global arguments', () => {
  const { stages, globalArgs } = parse('ARG v=1\n# base the base\nFROM --platform=$P a AS Base\nRUN x\nFROM base\n');
  assert.deepEqual(
    stages.map((s) => [s.stageName, s.baseName, s.platform, s.description, s.commands.length]),
    [
      ['base', 'a', '$P', 'the base', 1],
      ['', 'base', '', '', 0],
    ],
  );
  assert.deepEqual(globalArgs[0].args, [{ key: 'v', value: '1', description: '' }]);
});

void test('errors', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['FROM a\nRUNN x', 'dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)'],
    ['FROM a\nxyzzy x', 'dockerfile parse error on line 2: unknown instruction: xyzzy'],
    ['RUN x', 'no build stage in current context'],
    ['FROM a b', 'dockerfile parse error on line 1: FROM requires either one or three arguments'],
    [
      'FROM a AS 1b',
      `dockerfile parse error on line 1: invalid name for build stage: "1b", name can't start with a number or contain symbols`,
    ],
    ['FROM a\nCOPY --form=x a b', 'dockerfile parse error on line 2: unknown flag: --form (did you mean from?)'],
    ['FROM a\nCOPY --link=x a b', 'dockerfile parse error on line 2: expecting boolean value for flag --link, not: x'],
    ['FROM a\nCOPY --from=a --from=b a b', 'dockerfile parse error on line 2: duplicate flag specified: --from'],
    [
      'FROM a\nCOPY a',
      'dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined',
    ],
    ['FROM a\nSHELL a', 'dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form'],
    ['FROM a\nRUN --network=x y', 'dockerfile parse error on line 2: invalid network mode "x"'],
    [
      'FROM a\nRUN --mount=from=$x y',
      "dockerfile parse error on line 2: 'from' doesn't support variable expansion, define alias stage instead",
    ],
    [
      'FROM a\nONBUILD ONBUILD RUN x',
      "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
    ],
    ['FROM a\nHEALTHCHECK FOO', 'dockerfile parse error on line 2: Unknown type "FOO" in HEALTHCHECK (try CMD)'],
  ];
  for (const [text, message] of cases) assert.throws(() => parse(text), { message }, text);
});

void test('mounts', () => {
  const expand = (word: string): string => word.replace('$x', '/x');
  assert.deepEqual(parseMount('type=cache,target=$x,sharing=locked,id=i,mode=0700,uid=1', expand), {
    type: 'cache',
    from: '',
    source: '',
    target: '/x',
    readOnly: false,
    sizeLimit: 0n,
    id: 'i',
    sharing: 'locked',
    required: false,
    mode: 0o700,
    uid: 1,
  });
  assert.equal(parseMount('target=/a', expand).readOnly, true);
  assert.equal(parseMount('type=tmpfs,target=/a,size=1g', expand).sizeLimit, 1024n ** 3n);
  const errors: readonly (readonly [string, string])[] = [
    ['type=bnd', 'unsupported mount type "bnd" (did you mean bind?)'],
    ['size=1g,type=tmpfs', "unexpected key 'size' for mount type 'bind'"],
    ['type=secret', 'invalid secret mount. one of source, target required'],
    ['type=bind,uid=1', 'uid not allowed for "bind" type mounts'],
    ['targt=/a', "unexpected key 'targt' in 'targt=/a' (did you mean target?)"],
    ['foo', "invalid field 'foo' must be a key=value pair"],
  ];
  for (const [text, message] of errors) assert.throws(() => parseMount(text, expand), { message }, text);
});
