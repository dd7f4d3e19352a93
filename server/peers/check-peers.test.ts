import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { AppError } from '../../common/errors/app-error.ts';
import { type Component, components } from '../../common/names/names.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { CheckPeersRequestSchema, PeerAnswerSchema, type PeerQuestion } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { CheckResult, ComponentStatusSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { sampleNode } from '../store/store-contract.ts';
import { checkPeers } from './check-peers.ts';
import { isConfirmed } from './confirmations.ts';

type Answer = MessageInitShape<typeof PeerAnswerSchema> | 'gone' | undefined;
/** The same each time, or one after another. */
type Answers = Record<string, Answer | Answer[]>;

const fine: Answer = { concerned: true, confirmations: [{ source: 'handshake', line: 'ok' }] };
const angry: Answer = {
  concerned: true,
  complaints: [{ source: 'journal kubelet.service', line: 'x509: unknown authority' }],
};
const idle: Answer = { concerned: false };

let store: Store;
/** Who was asked, in that order. */
let askedNodes: string[];
let asked: PeerQuestion[];
/** For what the rollout was stopped, and by whose word. */
let stops: { node: string; reason: string }[];

beforeEach(async () => {
  asked = [];
  askedNodes = [];
  stops = [];
  store = openSqliteStore(':memory:', new FakeClock());
  const node = sampleNode({ name: 'cp1', role: 'control-plane', addresses: ['10.0.0.1'] });
  await store.enrol({ node, useToken: undefined });
  const other = sampleNode({ name: 'cp2', role: 'control-plane', addresses: ['10.0.0.2'] });
  await store.enrol({ node: other, useToken: undefined });
});

describe('checkPeers', () => {
  const rows: [string, Answers, CheckResult, RegExp, boolean][] = [
    ['all peers are content', { w1: fine, w2: fine }, CheckResult.PASSED, /^2 peers have no complaint$/, true],
    ['most complain', { w1: fine, w2: angry, w3: angry }, CheckResult.FAILED, /^w[23], w[23] complain about/, false],
    ['the only one complains', { w1: angry }, CheckResult.FAILED, /^w1 complain about kube-apiserver$/, false],
    ['a control plane complains', { w1: fine, w2: fine, cp2: angry }, CheckResult.FAILED, /^cp2 complain about/, false],
    [
      'a lone worker complains',
      { w1: fine, w2: angry },
      CheckResult.PASSED,
      /^w2 alone complains about kube-apiserver, out of 2: the change is kept, the rollout stops$/,
      true,
    ],
    [
      'one of four lies, one hangs and one is fine',
      { w1: angry, w2: undefined, w3: fine },
      CheckResult.PASSED,
      /^w1 alone complains .* out of 3.*; no answer from w2$/,
      true,
    ],
    [
      'one complained and does so no more',
      { w1: fine, w2: [angry, fine] },
      CheckResult.PASSED,
      /^2 peers have no complaint; complained, and no more when asked again: w2$/,
      true,
    ],
    [
      'one complained and goes away',
      { w1: fine, w2: [angry, 'gone'] },
      CheckResult.PASSED,
      /^2 peers have .* no more when asked again: w2$/,
      true,
    ],
    [
      'one says nothing',
      { w1: fine, w2: undefined },
      CheckResult.PASSED,
      /^1 peer has no complaint; no answer from w2$/,
      true,
    ],
    ['nobody says anything', { w1: undefined, w2: undefined }, CheckResult.FAILED, /none of 2 peers answered/, false],
    ['one goes away', { w1: fine, w2: 'gone' }, CheckResult.PASSED, /^1 peer has .*; no answer from w2$/, true],
    [
      'one of two complains, and the other goes away',
      { w1: angry, w2: 'gone' },
      CheckResult.PASSED,
      /^w1 alone complains .*; no answer from w2$/,
      true,
    ],
    ['nobody is concerned', { w1: idle }, CheckResult.SKIPPED, /no peer runs anything that talks to it/, true],
    ['there is nobody', {}, CheckResult.SKIPPED, /no peer runs anything that talks to it/, true],
  ];
  for (const [what, answers, result, summary, confirmed] of rows) {
    it(`is ${CheckResult[result]} when ${what}`, async () => {
      const check = await ask(answers);
      assert.equal(check.result, result);
      assert.match(check.summary, summary);
      assert.equal(await isConfirmed(store, { node: 'cp1', component: 'kube-apiserver', serial: 'abc' }), confirmed);
      assert.equal(await isConfirmed(store, { node: 'cp1', component: 'kube-apiserver', serial: 'ab' }), false);
      assert.equal(await isConfirmed(store, { node: 'cp1', component: 'etcd', serial: 'abc' }), false);
    });
  }

  it('stops the rollout at the word of a lone worker, with its name, and not where nobody complains or a change is undone', async () => {
    await ask({ w1: fine, w2: angry });
    assert.deepEqual(
      stops.map(({ node }) => node),
      ['w2'],
    );
    assert.match(stops[0]?.reason ?? '', /^kube-apiserver of cp1: w2 alone complains .*; look at w2 before you resume/);
    await ask({ w1: fine, w2: fine });
    await ask({ w1: angry, w2: angry });
    assert.equal(stops.length, 1);
  });

  it('asks who complained again, and one more, what was so since', async () => {
    const clock = new FakeClock();
    await ask({ w1: fine, w2: fine, w3: angry }, { clock });
    assert.deepEqual([askedNodes.slice(0, 3).sort(), askedNodes.slice(3).includes('w3')], [['w1', 'w2', 'w3'], true]);
    assert.equal(askedNodes.length, 5);
    const again = asked.slice(3);
    assert.deepEqual(
      again.map(({ since, watch }) => [Number(since?.seconds) * 1000, Number(watch?.seconds)]),
      again.map(() => [clock.nowMs(), 15]),
    );
    assert.equal(new Set(asked.map(({ questionId }) => questionId)).size, 5);
  });

  it('does not ask a node that is left out of the rollout', async () => {
    await store.putRollout({ ...(await store.getRollout()), leftOut: ['w2'] });
    const check = await ask({ w1: fine, w2: angry });
    assert.deepEqual([check.result, askedNodes, stops], [CheckResult.PASSED, ['w1'], []]);
  });

  it('asks the peers about one component of a node once at a time', async () => {
    const underWay = new Set<string>();
    const first = ask({ w1: fine }, { underWay });
    await assert.rejects(ask({ w1: fine }, { underWay }), { reason: 'unavailable', message: /asked .* already/ });
    const other = await ask({ cp2: fine }, { underWay, component: 'kubelet' });
    assert.equal((await first).result, CheckResult.PASSED);
    assert.notEqual(other.result, CheckResult.FAILED);
    assert.equal(underWay.size, 0);
    await assert.rejects(ask({ w1: 'gone' }, { underWay }), { reason: 'unavailable' });
    assert.equal(underWay.size, 0);
  });

  it('says which node the evidence is from', async () => {
    const { evidence } = await ask({ w1: angry });
    assert.equal(evidence[0]?.source, 'node w1: journal kubelet.service');
  });

  it('names peers that are not connected', async () => {
    const check = await ask({ w1: fine }, { more: [row('w9', 'kubelet', false)] });
    assert.match(check.summary, /not connected: w9/);
    assert.deepEqual(
      asked.map((it) => it.node),
      ['cp1'],
    );
  });

  it('does not judge when nobody answers and somebody went away', async () => {
    await assert.rejects(ask({ w1: 'gone', w2: undefined }), { reason: 'unavailable', message: /w1 went away while/ });
    assert.equal(await isConfirmed(store, { node: 'cp1', component: 'kube-apiserver', serial: 'abc' }), false);
  });

  it('does not judge before it knows of a permit that its former run may have given', async () => {
    await assert.rejects(ask({ w1: fine }, { held: false, back: true }), { reason: 'unavailable' });
    assert.equal(asked.length, 0);
  });

  it('asks nobody without a permit for the component', async () => {
    await assert.rejects(ask({ w1: fine }, { held: false }), { reason: 'policy-refused' });
    assert.equal(asked.length, 0);
  });

  it('sends peers only to addresses at which the node is known to be, and ports at which it said that it serves', async () => {
    const endpoints = ['10.0.0.1:6443', 'cp1:6443', 'api.example:6443', '169.254.169.254:80', '127.0.0.1:6443'];
    await ask({ w1: fine }, { endpoints: [...endpoints, '10.0.0.1:22', 'cp1', 'api.example:22'] });
    assert.deepEqual(asked[0]?.endpoints, ['10.0.0.1:6443', 'cp1:6443', 'api.example:6443']);
  });

  it('tells peers at which addresses another API server may answer', async () => {
    const endpoints = ['10.0.0.1:6443', 'api.example:6443'];
    await ask({ w1: fine }, { endpoints });
    assert.deepEqual(asked[0]?.sharedEndpoints, ['api.example:6443']);
    await ask({ w1: fine }, { endpoints, addressesOfApi: ['10.0.0.1'] });
    assert.deepEqual(asked[1]?.sharedEndpoints, endpoints, 'the name of the cluster stands for that address');
  });

  it('hands on and remembers no more of a serial than a serial is', async () => {
    await ask({ w1: fine }, { serial: 'a'.repeat(10_000) });
    const { rows } = await store.listEvents({}, { size: 9, after: undefined });
    assert.ok(rows.length > 0 && rows.every(({ message }) => message.length < 500));
    assert.equal(asked[0]?.serial.length, 64);
  });

  const talkers: [Component, Component, boolean][] = [
    ['etcd', 'etcd', true],
    ['etcd', 'kube-apiserver', true],
    ['etcd', 'kubelet', false],
    ['kube-apiserver', 'kubelet', true],
    ['kube-apiserver', 'etcd', false],
    ['kubelet', 'kube-apiserver', true],
    ['kubelet', 'kubelet', false],
  ];
  for (const [changed, peer, concerned] of talkers) {
    it(`${concerned ? 'asks' : 'does not ask'} the node of a ${peer} about a ${changed}`, async () => {
      await ask({}, { component: changed, more: [row('n2', peer, true)], late: fine });
      assert.equal(asked.length, concerned ? 1 : 0);
    });
  }

  it('asks at most fifty, the control planes among them, and other workers for another certificate', async () => {
    const more = [
      ...Array.from({ length: 80 }, (_, at) => row(`w${at}`, 'kubelet', true)),
      row('cp2', 'kubelet', true),
    ];
    const askedFor = async (serial: string) => {
      askedNodes = [];
      await ask({}, { more, late: fine, serial });
      return new Set(askedNodes);
    };
    const [first, second] = [await askedFor('aa'), await askedFor('bb')];
    assert.deepEqual([first.size, first.has('cp2'), second.has('cp2')], [50, true, true]);
    assert.ok([...second].some((node) => !first.has(node)));
  });
});

interface Options {
  component?: Component;
  endpoints?: string[];
  serial?: string;
  held?: boolean;
  /** Whether the permit may come back. */
  back?: boolean;
  more?: FleetComponent[];
  /** What nodes of `more` answer. */
  late?: Answer;
  /** Addresses that the name of the API endpoint stands for. */
  addressesOfApi?: string[];
  clock?: FakeClock;
  underWay?: Set<string>;
}

function ask(answers: Answers, options: Options = {}) {
  const {
    component = 'kube-apiserver',
    endpoints = [],
    serial = 'abc',
    held = true,
    back = false,
    more = [],
    late,
    addressesOfApi = [],
    clock = new FakeClock(),
    underWay = new Set<string>(),
  } = options;
  const rounds = new Map<string, number>();
  const permit = { id: 'p', node: 'cp1', changeId: '', sinceMs: 0, ageMs: 0, inShare: true, expiresAtMs: 0 };
  const request = { permitId: permit.id, component: components.toNumber(component), endpoints, serial };
  return checkPeers(create(CheckPeersRequestSchema, request), { name: 'cp1' }, AbortSignal.timeout(5000), {
    store,
    serverMs: () => clock.nowMs(),
    underWay,
    pause: async ({ node, reason }) => void stops.push({ node, reason }),
    permits: {
      mayComeBack: () => back,
      held: () => (held ? { ...permit, components: [component] } : undefined),
    },
    components: () => [
      ...Object.keys(answers).map((node) => row(node, 'kubelet', true)),
      row('cp1', component, true),
      ...more,
    ],
    ask: async (node, question) => {
      asked.push(question);
      askedNodes.push(node);
      const round = rounds.get(node) ?? 0;
      rounds.set(node, round + 1);
      const given = node in answers ? answers[node] : late;
      const answer = Array.isArray(given) ? given[round] : given;
      if (answer === 'gone') throw new AppError('unavailable', `${node} went away while it was asked`);
      return answer && create(PeerAnswerSchema, answer);
    },
    watchMs: 10_000,
    apiEndpoint: 'api.example:6443',
    resolve: async () => addressesOfApi,
  });
}

function row(node: string, component: Component, online: boolean): FleetComponent {
  const endpoints = ['10.0.0.1:6443'];
  const status = create(ComponentStatusSchema, { component: components.toNumber(component), endpoints });
  return { node, component, state: 'verified', online, status };
}
