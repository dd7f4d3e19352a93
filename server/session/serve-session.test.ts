import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { create, fromBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { EtcdStep, InventorySchema, PeerQuestionSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { AgentMode, Component, ComponentState, Profile } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { FleetState } from '../fleet/fleet-state.ts';
import { confirm } from '../peers/confirmations.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { sampleIntent, sampleNode } from '../store/store-contract.ts';
import { FakeAgent, settle } from './fake-agent-for-tests.ts';
import { loadKubeletLatch } from './kubelet-latch.ts';
import type { ServeSessionDeps } from './serve-session.ts';
import { Sessions } from './sessions.ts';
import { createPresence, type Presence } from './watch-silence.ts';

const HEARTBEAT_MS = 10_000;
let clock: FakeClock;
let store: Store;
let sessions: Sessions;
let presence: Presence;
let deps: ServeSessionDeps;
let renewed: string[];
/** How often the change of roots was asked whether it can go on. */
let checks: number;
let agents: FakeAgent[];

beforeEach(async () => {
  clock = new FakeClock();
  store = openSqliteStore(':memory:', clock);
  for (const name of ['cp1', 'cp2', 'w1']) {
    const role = name === 'w1' ? 'worker' : 'control-plane';
    await store.enrol({
      node: sampleNode({ name, role, identityPin: name, lastSeenAtMs: clock.nowMs() }),
      useToken: undefined,
    });
  }
  const fleet = await FleetState.load(store);
  const cluster = { name: 'c', apiEndpoint: 'api:6443', serviceAddress: '10.96.0.1', dnsDomain: 'cluster.local' };
  const latch = await loadKubeletLatch(store, 'auto');
  const trust = () => ({ generation: 0n, issuesEtcdLeaves: true });
  sessions = new Sessions({ store, clock, fleet, latch, trust, config: { heartbeatMs: HEARTBEAT_MS, cluster } });
  presence = createPresence({ store, clock, sessions, heartbeatMs: HEARTBEAT_MS });
  renewed = [];
  checks = 0;
  agents = [];
  deps = {
    store,
    clock,
    fleet,
    sessions,
    presence,
    permits: { renew: async (node, id) => void renewed.push(`${node} ${id}`) },
    rotation: { check: async () => void checks++ },
    pause: async ({ reason, node }) =>
      store.putRollout({ paused: true, reason, node, pausedAtMs: 1, retryGeneration: 0 }),
  };
});
afterEach(async () => {
  for (const agent of agents) agent.close();
  await settle();
  await store.close();
});

describe('session', () => {
  it('answers a hello with settings, and records version, mode and clock', async () => {
    const agent = connect('cp1');
    await agent.hello({
      nodeTime: timestampFromMs(clock.nowMs() + 1500),
      mode: AgentMode.ENFORCE,
      agentVersion: '1.2',
    });
    assert.equal(agent.settings().length, 1);
    assert.equal(checks, 1, 'a phase that waits for this node may be complete now');
    assert.equal(agent.settings()[0]?.cluster?.name, 'c');
    const node = await store.getNode('cp1');
    assert.deepEqual([node?.agentVersion, node?.mode, node?.clockSkewMs], ['1.2', 'enforce', 1500]);
    assert.deepEqual(await kinds('node'), ['node.online']);
  });

  it('refuses an agent that does not begin with a hello', async () => {
    const agent = connect('cp1');
    await agent.say({ case: 'heartbeat', value: {} });
    await assert.rejects(agent.over, { reason: 'invalid-request' });
    assert.equal(sessions.isOnline('cp1'), false);
  });

  it('ends when a second session of the node begins', async () => {
    const first = connect('cp1');
    await first.hello();
    const second = connect('cp1');
    await assert.rejects(first.over, { reason: 'conflict' });
    await second.hello();
    assert.equal(sessions.isOnline('cp1'), true);
  });

  it('goes offline when the agent hangs up', async () => {
    const agent = connect('cp1');
    await agent.hello();
    agent.hangUp();
    await agent.over;
    assert.equal(sessions.isOnline('cp1'), false);
  });

  it('renews a permit by heartbeat', async () => {
    const agent = connect('cp1');
    await agent.hello();
    await agent.say({ case: 'heartbeat', value: { permitId: 'p1' } });
    assert.deepEqual(renewed, ['cp1 p1']);
  });

  it('pushes settings only when they changed, with a rising generation', async () => {
    const agent = connect('cp1');
    await agent.hello();
    await sessions.pushSettings();
    await store.putRollout({ paused: true, reason: 'x', node: '', pausedAtMs: 1, retryGeneration: 0 });
    await sessions.pushSettings();
    const [first, second, ...more] = agent.settings();
    assert.equal(more.length, 0);
    assert.ok(first && second && second.generation > first.generation);
    assert.equal(second.rolloutPaused, true);
  });

  it('moves an etcd cluster to its second step for all members when the last is prepared', async () => {
    const etcd = (prepared: boolean) => ({
      case: 'report' as const,
      value: {
        component: Component.ETCD,
        state: ComponentState.PENDING,
        etcd: { clusterId: 'abc', members: ['m1', 'm2'], prepared },
      },
    });
    const [one, two] = [connect('cp1'), connect('cp2')];
    await one.hello();
    await two.hello();
    await one.say(etcd(true));
    await two.say(etcd(false));
    assert.equal(one.settings().at(-1)?.etcdStep, EtcdStep.PREPARE);
    await two.say(etcd(true));
    assert.equal(one.settings().at(-1)?.etcdStep, EtcdStep.ENFORCE);
    assert.equal(two.settings().at(-1)?.etcdStep, EtcdStep.ENFORCE);
  });

  it('asks for the verification of kubelets once all are verified, and keeps to it', async () => {
    await issue('w1', 'aa');
    await confirm(store, { node: 'w1', component: 'kubelet', serial: 'aa' }, 'fine');
    const agent = connect('w1');
    await agent.hello();
    await agent.say({ case: 'report', value: kubelet(ComponentState.VERIFIED, 'aa') });
    assert.equal(agent.settings().at(-1)?.verifyKubelets, true);
    await agent.say({ case: 'report', value: kubelet(ComponentState.APPLYING, 'bb') });
    assert.equal(agent.settings().at(-1)?.verifyKubelets, true);
    assert.equal((await loadKubeletLatch(store, 'auto')).value, true, 'a restart does not forget it');
    assert.equal((await loadKubeletLatch(store, 'never')).value, false);
  });

  it('believes no agent that says verified with a certificate of another node', async () => {
    await issue('cp1', 'aa');
    await confirm(store, { node: 'w1', component: 'kubelet', serial: 'aa' }, 'fine');
    const agent = connect('w1');
    await agent.hello();
    await agent.say({ case: 'report', value: kubelet(ComponentState.VERIFIED, 'aa') });
    assert.equal(deps.fleet.get('w1', 'kubelet')?.state, ComponentState.FAILED);
  });

  it('stops the rollout when a component is rolled back, and tells the agents', async () => {
    const [one, two] = [connect('cp1'), connect('w1')];
    await one.hello();
    await two.hello();
    await two.say({ case: 'report', value: { ...kubelet(ComponentState.ROLLED_BACK, 'aa'), reason: 'bind: refused' } });
    assert.equal((await store.getRollout()).reason, 'on w1 kubelet was rolled back: bind: refused');
    assert.equal(one.settings().at(-1)?.rolloutPaused, true);
  });

  it('makes a verified component degraded when its journal complains, and writes a flood of it once', async () => {
    await issue('w1', 'aa');
    await confirm(store, { node: 'w1', component: 'kubelet', serial: 'aa' }, 'fine');
    const agent = connect('w1');
    await agent.hello();
    await agent.say({ case: 'report', value: kubelet(ComponentState.VERIFIED, 'aa') });
    const value = { component: Component.KUBELET, cause: 'expired', fault: 'own', line: 'x509' };
    for (let round = 0; round < 20; round++)
      await agent.say({ case: 'observation', value: { ...value, line: `${round}` } });
    assert.equal(deps.fleet.get('w1', 'kubelet')?.state, ComponentState.DEGRADED);
    assert.deepEqual(await kinds('tls'), ['tls.observed']);
    assert.deepEqual(await kinds('component'), ['component.verified', 'component.degraded']);
  });

  it('keeps an inventory, cut to what a node can have', async () => {
    const agent = connect('w1');
    await agent.hello();
    await agent.say({
      case: 'inventory',
      value: { certificates: Array.from({ length: 1500 }, () => ({ path: '/x' })) },
    });
    const bytes = await store.getInventory('w1');
    assert.equal(bytes && fromBinary(InventorySchema, bytes).certificates.length, 1000);
  });
});

describe('questions to peers', () => {
  it('come back with the answer, whatever else the agent says', async () => {
    const agent = connect('w1');
    await agent.hello();
    const answer = sessions.ask(
      'w1',
      create(PeerQuestionSchema, { questionId: 'q1' }),
      5000,
      new AbortController().signal,
    );
    await agent.say({ case: 'peerAnswer', value: { questionId: 'other' } });
    await agent.say({ case: 'peerAnswer', value: { questionId: 'q1', concerned: true } });
    assert.equal((await answer)?.concerned, true);
  });

  it('are not answered by another node', async () => {
    const [asked, liar] = [connect('w1'), connect('cp1')];
    await asked.hello();
    await liar.hello();
    const answer = sessions.ask(
      'w1',
      create(PeerQuestionSchema, { questionId: 'q1' }),
      5000,
      new AbortController().signal,
    );
    await liar.say({ case: 'peerAnswer', value: { questionId: 'q1', concerned: true } });
    await clock.advance(5000);
    assert.equal(await answer, undefined);
  });

  it('end without an answer when the agent goes away, or is not there', async () => {
    const agent = connect('w1');
    await agent.hello();
    const { signal } = new AbortController();
    const answer = sessions.ask('w1', create(PeerQuestionSchema, { questionId: 'q1' }), 5000, signal);
    agent.hangUp();
    assert.equal(await answer, undefined);
    assert.equal(await sessions.ask('w1', create(PeerQuestionSchema), 5000, signal), undefined);
  });
});

describe('silence', () => {
  it('is reported once after three heartbeats, and the return as well', async () => {
    const agent = connect('w1');
    await agent.hello();
    await clock.advance(3 * HEARTBEAT_MS);
    await presence.look();
    assert.deepEqual(await kinds('node', 'w1'), ['node.online']);
    await clock.advance(1);
    await presence.look();
    await presence.look();
    await assert.rejects(agent.over, { reason: 'deadline' });
    assert.deepEqual(await kinds('node', 'w1'), ['node.online', 'node.offline']);
    await connect('w1').hello();
    assert.deepEqual(await kinds('node', 'w1'), ['node.online', 'node.offline', 'node.online']);
  });

  it('is no matter of revoked nodes', async () => {
    await store.updateNode('w1', { revoked: true });
    await clock.advance(10 * HEARTBEAT_MS);
    await presence.look();
    assert.deepEqual(await kinds('node', 'w1'), []);
  });
});

function connect(node: string): FakeAgent {
  const agent = new FakeAgent(node, deps);
  agents.push(agent);
  return agent;
}

function kubelet(state: ComponentState, serial: string) {
  return { component: Component.KUBELET, state, certificates: [{ profile: Profile.KUBELET_SERVING, serial }] };
}

async function issue(holder: string, serial: string): Promise<void> {
  await store.recordIntents([sampleIntent({ holder, serial, publicKeyPin: `${holder} ${serial}` })]);
}

async function kinds(kind: string, node?: string): Promise<string[]> {
  const filter = node === undefined ? { kind } : { kind, node };
  const { rows } = await store.listEvents(filter, { size: 100, after: undefined });
  return rows.map((it) => it.kind).reverse();
}
