import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuildError } from '../../base/index.ts';
import type { ResolveSourceMetaRequest } from '../../proto/gateway.pb.ts';
import type { Op, SourceOp } from '../../proto/ops.pb.ts';
import { AttrMatch, MatchType, Policy, PolicyAction } from '../../proto/policy.pb.ts';
import type { CheckPolicyRequest, CheckPolicyResponse, DecisionResponse } from '../../proto/policysession.pb.ts';
import { judgeByAll, SourcePolicy } from './index.ts';
import type { Verdicts } from './index.ts';

const { signal } = new AbortController();
const { ALLOW, DENY, CONVERT } = PolicyAction;

type RuleJson = [
  action: number,
  identifier: string,
  more?: { type?: number; to?: string; attrs?: object; where?: object[] },
];

function policyOf(...rules: RuleJson[]): Policy {
  return Policy.fromJSON({
    rules: rules.map(([action, identifier, { type = MatchType.WILDCARD, to, attrs, where } = {}]) => ({
      action,
      selector: { identifier, matchType: type, constraints: where },
      ...(to === undefined && attrs === undefined ? {} : { updates: { identifier: to, attrs } }),
    })),
  });
}

/** The source as it may be used. */
async function judge(
  policies: readonly Policy[],
  identifier: string,
  attrs: Record<string, string> = {},
  verdicts?: Verdicts,
): Promise<[string, Record<string, string>]> {
  const source = { identifier, attrs: new Map(Object.entries(attrs)) };
  const normalize = ({ identifier: id }: SourceOp): string => id.replace('/./', '/');
  const policy = new SourcePolicy({ rules: policies, normalize, ...(verdicts === undefined ? {} : { verdicts }) });
  await policy.judge(source, undefined, [], signal);
  return [source.identifier, Object.fromEntries(source.attrs)];
}

const IMAGE = 'docker-image://docker.io/library/golang:1.19';

void test('the last rule that allows or denies decides', async () => {
  const denied = { code: 7, message: `source ${JSON.stringify(IMAGE)} denied by policy: source denied by policy` };
  await assert.rejects(judge([policyOf([ALLOW, '*'], [DENY, IMAGE])], IMAGE), denied);
  await judge([policyOf([DENY, '*'], [ALLOW, 'docker-image://*'])], IMAGE);
  // Every policy can deny.
  await assert.rejects(judge([policyOf([ALLOW, '*']), policyOf([DENY, '*golang*'])], IMAGE), denied);
  await judge([policyOf([DENY, 'docker-image://docker.io/library/golang'])], IMAGE);
});

void test('selectors: text, wildcards, patterns, attributes', async () => {
  const matches = async (identifier: string, type: number, where: object[] = []): Promise<boolean> => {
    const rules = policyOf([DENY, identifier, { type, where }]);
    return judge([rules], IMAGE, { a: 'b' }).then(
      () => false,
      (error: BuildError) => {
        if (/denied/.test(error.message)) return true;
        throw error;
      },
    );
  };
  const { EXACT, WILDCARD, REGEX } = MatchType;
  assert.ok(await matches(IMAGE, EXACT));
  assert.ok(!(await matches('*', EXACT)));
  assert.ok(await matches('docker-image://*/golang:*', WILDCARD));
  assert.ok(!(await matches('docker-image://.*/golang', WILDCARD)));
  assert.ok(await matches('golang:1\\.\\d+$', REGEX));
  assert.ok(!(await matches('^golang', REGEX)));
  const where = (condition: number, value: string, key = 'a'): object[] => [{ key, value, condition }];
  assert.ok(await matches('*', WILDCARD, where(AttrMatch.EQUAL, 'b')));
  assert.ok(!(await matches('*', WILDCARD, where(AttrMatch.EQUAL, 'c'))));
  assert.ok(await matches('*', WILDCARD, where(AttrMatch.NOTEQUAL, 'c')));
  assert.ok(await matches('*', WILDCARD, where(AttrMatch.EQUAL, '', 'missing')));
  assert.ok(await matches('*', WILDCARD, where(AttrMatch.MATCHES, '^[a-c]$')));
  assert.ok(!(await matches(IMAGE, EXACT, where(AttrMatch.MATCHES, 'x'))));
  await assert.rejects(matches('a**', WILDCARD), /error matching source policy: .*invalid wildcard: "\*\*"/);
  await assert.rejects(matches('(', REGEX), /error matching source policy: error parsing regexp: missing closing \)/);
  await assert.rejects(matches('*', WILDCARD, where(AttrMatch.MATCHES, '(')), /invalid regex "\("/);
  await assert.rejects(matches('x', 7), /unknown match type: -1/);
  await assert.rejects(matches('*', WILDCARD, where(7, 'x')), /unknown attr condition: -1/);
});

void test('conversions take parts of the identifier over, and are asked again', async () => {
  const alpine = policyOf([
    CONVERT,
    'docker-image://docker.io/library/golang:*',
    { to: 'docker-image://g:${1}-alpine' },
  ]);
  assert.deepEqual(await judge([alpine], IMAGE), ['docker-image://g:1.19-alpine', {}]);
  const regex = policyOf([
    CONVERT,
    '^docker-image://(.*)/(.*):',
    { type: MatchType.REGEX, to: 'oci-layout://$2/${1}:' },
  ]);
  assert.deepEqual(await judge([regex], IMAGE), ['oci-layout://golang/docker.io/library:1.19', {}]);
  const attrs = policyOf([CONVERT, 'https://x/y', { attrs: { 'http.checksum': 'sha256:a' } }]);
  assert.deepEqual(await judge([attrs], 'https://x/y', { k: 'v' }), [
    'https://x/y',
    { k: 'v', 'http.checksum': 'sha256:a' },
  ]);
  const chain = [
    policyOf([CONVERT, 'a://1', { to: 'a://2' }]),
    policyOf([CONVERT, 'a://2', { to: 'a://3' }], [DENY, 'a://3']),
  ];
  await assert.rejects(judge(chain, 'a://1'), /source "a:\/\/3" denied by policy/);
  const circle = policyOf([CONVERT, 'a://1', { to: 'a://2' }], [CONVERT, 'a://2', { to: 'a://1' }]);
  await assert.rejects(judge([circle], 'a://1'), /too many mutations on a single source: too many operations/);
  // The other rules do not see the identifier that they are not written for.
  assert.deepEqual(await judge([policyOf([CONVERT, 'a://b/c', { to: 'a://d' }])], 'a://b/./c'), ['a://d', {}]);
});

void test('policies that make no sense', async () => {
  const bad = (rule: object): Promise<unknown> => judge([Policy.fromJSON({ rules: [rule] })], 'a://b');
  await assert.rejects(bad({ action: CONVERT }), { code: 3, message: 'invalid nil selector in policy' });
  const convert = bad({ action: CONVERT, selector: { identifier: 'a://b' } });
  await assert.rejects(convert, /error mutating source policy: missing destination for convert rule/);
  const policy = policyOf([ALLOW, 'a://b']);
  policy.rules[0].action = 9000 as never;
  await assert.rejects(judge([policy], 'a://b'), /source policy: rule 9000 a:\/\/b: unknown type "a:\/\/b"/);
});

type Answer = (request: CheckPolicyRequest) => CheckPolicyResponse;

function decide(action: PolicyAction, more: Partial<DecisionResponse> = {}): CheckPolicyResponse {
  return { result: { $case: 'decision', value: { action, denyMessages: [], update: undefined, ...more } } };
}

function wantToKnow(identifier: string | undefined, attrs: Record<string, string> = {}): CheckPolicyResponse {
  const source = identifier === undefined ? undefined : { identifier, attrs: new Map(Object.entries(attrs)) };
  const value = {
    Source: source,
    Platform: undefined,
    LogName: 'why',
    ResolveMode: '',
    Git: undefined,
    Image: undefined,
    HTTP: undefined,
    SourcePolicies: [],
  };
  return { result: { $case: 'request', value } };
}

function client(answers: readonly Answer[]): Verdicts & { asked: number; described: ResolveSourceMetaRequest[] } {
  const verdicts = {
    asked: 0,
    described: [] as ResolveSourceMetaRequest[],
    ask: async (request: CheckPolicyRequest) => answers[Math.min(verdicts.asked++, answers.length - 1)](request),
    describe: async (request: ResolveSourceMetaRequest) => {
      verdicts.described.push(request);
      const Image = { Digest: 'sha256:d', Config: new Uint8Array(), AttestationChain: undefined };
      return { Source: request.Source, Image, Git: undefined, HTTP: undefined };
    },
  };
  return verdicts;
}

void test('the client decides, after it has asked', async () => {
  const asking = client([
    ({ Source }) => wantToKnow(Source?.Source?.identifier),
    ({ Source }) => {
      assert.equal(Source?.Image?.Digest, 'sha256:d');
      return decide(ALLOW);
    },
  ]);
  assert.deepEqual(await judge([], IMAGE, {}, asking), [IMAGE, {}]);
  assert.deepEqual(
    asking.described.map((r) => r.LogName),
    ['why'],
  );
  const messages = [{ message: 'not this' }, { message: 'take that' }];
  const no = judge([], IMAGE, {}, client([() => decide(DENY, { denyMessages: messages })]));
  await assert.rejects(no, (error: BuildError) => {
    assert.equal(error.message, `source ${JSON.stringify(IMAGE)} not allowed by policy: action DENY`);
    const detail = error.findDetail('policysession.DecisionResponse');
    assert.deepEqual(detail, { action: 'DENY', denyMessages: messages });
    return true;
  });
});

void test('what the client puts in place goes through the rules and to the client again', async () => {
  const update = { identifier: 'docker-image://other', attrs: new Map([['a', 'b']]) };
  const convert = client([
    () => decide(CONVERT, { update }),
    ({ Source }) => {
      assert.equal(Source?.Source?.identifier, 'docker-image://third');
      return decide(ALLOW);
    },
  ]);
  const rules = policyOf([CONVERT, 'docker-image://other', { to: 'docker-image://third' }]);
  assert.deepEqual(await judge([rules], IMAGE, {}, convert), ['docker-image://third', { a: 'b' }]);
  const circle = client([() => decide(CONVERT, { update })]);
  await assert.rejects(judge([], IMAGE, {}, circle), /too many policy requests/);
  assert.equal(circle.asked, 10);
});

void test('answers that make no sense', async () => {
  const refuse = (answer: CheckPolicyResponse, text: RegExp): Promise<void> =>
    assert.rejects(judge([], IMAGE, { a: 'b' }, client([() => answer])), text);
  await refuse({ result: undefined }, /no decision in policy response/);
  await refuse(decide(CONVERT), /convert action requires updated source/);
  await refuse(wantToKnow('x'), /policy requested different source identifier: "x" != /);
  await refuse(wantToKnow(undefined), /policy requested different source identifier: "" != /);
  await refuse(wantToKnow(IMAGE), /different source attrs: map length mismatch: 1 != 0/);
  await refuse(wantToKnow(IMAGE, { a: 'c' }), /value mismatch for key a/);
});

void test('only sources of a definition are judged, and nothing when nobody has a say', async () => {
  const normalize = (source: SourceOp): string => source.identifier;
  assert.equal(new SourcePolicy({ rules: [], normalize }).forDefinition([], signal), undefined);
  const check = new SourcePolicy({ rules: [], normalize }).forDefinition([policyOf([DENY, '*'])], signal);
  const op = (content: Op['op']): Op => ({ inputs: [], op: content, platform: undefined, constraints: undefined });
  await check?.(op({ $case: 'merge', value: { inputs: [] } }));
  const source = op({ $case: 'source', value: { identifier: 'a://b', attrs: new Map() } });
  await assert.rejects(async () => check?.(source), /denied by policy/);
});

void test('a request of a step is judged as if its URL were a source', async () => {
  const policy = (...rules: RuleJson[]): SourcePolicy =>
    new SourcePolicy({ rules: [policyOf(...rules)], normalize: ({ identifier }) => identifier });
  const ask = (by: SourcePolicy, method = 'GET'): Promise<string | undefined> =>
    by.judgeRequest({ method, url: 'http://host/a' }, signal);
  assert.equal(await ask(policy([DENY, 'http://host/b'])), undefined);
  await assert.rejects(ask(policy([DENY, 'http://host/*'])), /denied by policy/);
  const converted = policy([CONVERT, 'http://host/a', { to: 'https://other/a' }]);
  assert.equal(await ask(converted), 'https://other/a');
  await assert.rejects(ask(converted, 'POST'), /conversion is only supported for GET/);
  await assert.rejects(
    ask(policy([CONVERT, 'http://host/a', { attrs: { 'http.checksum': 'x' } }])),
    /only supports URL updates/,
  );
  await assert.rejects(ask(policy([CONVERT, 'http://host/a', { to: 'docker-image://x' }])), /unsupported URL/);

  // Of several builds each has a say; where none is left nothing passes.
  const second = policy([DENY, 'https://other/*']);
  await assert.rejects(
    judgeByAll(() => [converted, second])({ method: 'GET', url: 'http://host/a' }, signal),
    /denied/,
  );
  await assert.rejects(judgeByAll(() => [])({ method: 'GET', url: 'http://host/a' }, signal), /canceled/);
});
