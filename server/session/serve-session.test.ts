import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { EtcdStep, InventorySchema, KubeletVerification } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { AgentMode, Component, ComponentState, Profile } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { confirm } from '../peers/confirmations.ts';
import { loadKubeletLatch, type VerifyKubelets } from './kubelet-latch.ts';
import { begin } from './session-for-tests.ts';

describe('session', () => {
  it('answers a hello with settings, and records version, mode and clock', async (test) => {
    const { clock, store, rotation, connect, kinds } = await begin(test);
    const agent = connect('cp1');
    await agent.hello({
      nodeTime: timestampFromMs(clock.nowMs() + 1500),
      mode: AgentMode.ENFORCE,
      agentVersion: '1.2',
    });
    assert.equal(agent.settings().length, 1);
    assert.equal(rotation.checks, 1, 'a phase that waits for this node may be complete now');
    assert.equal(agent.settings()[0]?.cluster?.name, 'c');
    const node = await store.getNode('cp1');
    assert.deepEqual([node?.agentVersion, node?.mode, node?.clockSkewMs], ['1.2', 'enforce', 1500]);
    assert.deepEqual(await kinds('node'), ['node.online']);
  });

  it('refuses an agent that does not begin with a hello', async (test) => {
    const { sessions, connect } = await begin(test);
    const agent = connect('cp1');
    await agent.say({ case: 'heartbeat', value: {} });
    await assert.rejects(agent.over, { reason: 'invalid-request' });
    assert.equal(sessions.isOnline('cp1'), false);
  });

  it('ends when a second session of the node begins', async (test) => {
    const { sessions, connect } = await begin(test);
    const first = connect('cp1');
    await first.hello();
    const second = connect('cp1');
    await assert.rejects(first.over, { reason: 'conflict' });
    await second.hello();
    assert.equal(sessions.isOnline('cp1'), true);
  });

  it('takes up nothing more of a node that is removed, whatever was on its way', async (test) => {
    const { store, sessions, renewed, connect, kinds } = await begin(test);
    const agent = connect('w1');
    await agent.hello();
    const late = [
      agent.say({ case: 'report', value: kubelet(ComponentState.ROLLED_BACK, 'aa') }),
      agent.say({ case: 'report', value: { component: Component.KUBE_PROXY, state: ComponentState.PENDING } }),
      agent.say({ case: 'inventory', value: { certificates: [{ path: '/x' }] } }),
      agent.say({ case: 'heartbeat', value: { permitId: 'p1' } }),
    ];
    sessions.end('w1', new AppError('node-revoked', 'removed'));
    await Promise.all(late);
    await assert.rejects(agent.over, { reason: 'node-revoked' });
    assert.deepEqual([await store.listStatuses(), await store.getInventory('w1'), renewed], [[], undefined, []]);
    assert.deepEqual([await kinds('component'), (await store.getRollout()).paused], [[], false]);
  });

  it('is refused to a node that was removed since its call was let in', async (test) => {
    const { store, sessions, connect } = await begin(test);
    await store.updateNode('w1', { revoked: true });
    await assert.rejects(connect('w1').over, { reason: 'node-revoked' });
    assert.equal(sessions.isOnline('w1'), false);
  });

  it('goes offline when the agent hangs up', async (test) => {
    const { sessions, connect } = await begin(test);
    const agent = connect('cp1');
    await agent.hello();
    agent.hangUp();
    await agent.over;
    assert.equal(sessions.isOnline('cp1'), false);
  });

  it('renews a permit by heartbeat', async (test) => {
    const { renewed, connect } = await begin(test);
    const agent = connect('cp1');
    await agent.hello();
    await agent.say({ case: 'heartbeat', value: { permitId: 'p1' } });
    assert.deepEqual(renewed, ['cp1 p1']);
  });

  it('pushes settings only when they changed, with a rising generation', async (test) => {
    const { store, sessions, connect } = await begin(test);
    const agent = connect('cp1');
    await agent.hello();
    await sessions.pushSettings();
    await store.putRollout({ paused: true, reason: 'x', node: '', pausedAtMs: 1, retryGeneration: 0, leftOut: [] });
    await sessions.pushSettings();
    const [first, second, ...more] = agent.settings();
    assert.equal(more.length, 0);
    assert.ok(first && second && second.generation > first.generation);
    assert.equal(second.rolloutPaused, true);
  });

  it('moves an etcd cluster to its second step for all members when the last is prepared', async (test) => {
    const { connect } = await begin(test);
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

  it('asks for the verification of kubelets once all are verified, and keeps to it', async (test) => {
    const { clock, store, connect, issue } = await begin(test);
    await issue('w1', 'aa');
    await confirm(store, { node: 'w1', component: 'kubelet', serial: 'aa' }, 'fine');
    const agent = connect('w1');
    await agent.hello();
    await agent.say({ case: 'report', value: kubelet(ComponentState.VERIFIED, 'aa') });
    await agent.say({ case: 'survey', value: { components: [Component.KUBELET] } });
    assert.equal(agent.settings().at(-1)?.kubeletVerification, KubeletVerification.WITH_RESTART);
    await agent.say({ case: 'report', value: kubelet(ComponentState.APPLYING, 'bb') });
    assert.equal(agent.settings().at(-1)?.kubeletVerification, KubeletVerification.WITH_RESTART);
    const after = async (mode: VerifyKubelets) =>
      (await loadKubeletLatch({ store, clock, mode, nodes: undefined })).value;
    assert.equal(await after('auto'), KubeletVerification.WITH_RESTART, 'a restart does not forget it');
    assert.equal(await after('always'), KubeletVerification.AT_ONCE);
    assert.equal(await after('never'), KubeletVerification.UNSPECIFIED);
  });

  it('decides nothing of all kubelets while a node is there whose agent has not looked at it yet', async (test) => {
    const { store, connect, issue } = await begin(test);
    await issue('w1', 'aa');
    await confirm(store, { node: 'w1', component: 'kubelet', serial: 'aa' }, 'fine');
    const [w1, cp2] = [connect('w1'), connect('cp2')];
    await w1.hello();
    await cp2.hello();
    await w1.say({ case: 'report', value: kubelet(ComponentState.VERIFIED, 'aa') });
    await w1.say({ case: 'survey', value: { components: [Component.KUBELET] } });
    assert.equal(w1.settings().at(-1)?.kubeletVerification, KubeletVerification.UNSPECIFIED);
    await cp2.say({ case: 'report', value: { component: Component.KUBELET, state: ComponentState.PENDING } });
    await cp2.say({ case: 'survey', value: { components: [Component.KUBELET] } });
    assert.equal(w1.settings().at(-1)?.kubeletVerification, KubeletVerification.UNSPECIFIED);
    await cp2.say({ case: 'survey', value: {} });
    assert.equal(w1.settings().at(-1)?.kubeletVerification, KubeletVerification.WITH_RESTART);
  });

  it('forgets what a survey does not name, durably, and tells the change of roots', async (test) => {
    const { store, sessions, deps, rotation, connect, kinds } = await begin(test);
    const agent = connect('w1');
    await agent.hello({ components: [{ component: Component.KUBE_PROXY, state: ComponentState.FAILED }] });
    await agent.say({ case: 'report', value: { component: Component.KUBELET, state: ComponentState.PENDING } });
    assert.equal(sessions.get('w1')?.surveyed, undefined);
    rotation.checks = 0;
    await agent.say({ case: 'survey', value: { components: [Component.KUBELET], trustGeneration: 4n } });
    assert.deepEqual([sessions.get('w1')?.surveyed, rotation.checks], [4n, 1]);
    assert.equal(deps.fleet.get('w1', 'kube-proxy'), undefined);
    assert.deepEqual(
      (await store.listStatuses()).map(({ component }) => component),
      ['kubelet'],
    );
    assert.deepEqual(await kinds('component', 'w1'), ['component.failed', 'component.pending', 'component.gone']);
  });

  it('believes no agent that says verified with a certificate of another node', async (test) => {
    const { store, deps, connect, issue } = await begin(test);
    await issue('cp1', 'aa');
    await confirm(store, { node: 'w1', component: 'kubelet', serial: 'aa' }, 'fine');
    const agent = connect('w1');
    await agent.hello();
    await agent.say({ case: 'report', value: kubelet(ComponentState.VERIFIED, 'aa') });
    assert.equal(deps.fleet.get('w1', 'kubelet')?.state, ComponentState.FAILED);
  });

  it('stops the rollout when a component is rolled back, and tells the agents', async (test) => {
    const { store, connect } = await begin(test);
    const [one, two] = [connect('cp1'), connect('w1')];
    await one.hello();
    await two.hello();
    await two.say({ case: 'report', value: { ...kubelet(ComponentState.ROLLED_BACK, 'aa'), reason: 'bind: refused' } });
    assert.equal((await store.getRollout()).reason, 'on w1 kubelet was rolled back: bind: refused');
    assert.equal(one.settings().at(-1)?.rolloutPaused, true);
  });

  it('degrades nothing by what a journal complains of, and writes a flood of it once', async (test) => {
    const { store, deps, connect, issue, kinds } = await begin(test);
    await issue('w1', 'aa');
    await confirm(store, { node: 'w1', component: 'kubelet', serial: 'aa' }, 'fine');
    const agent = connect('w1');
    await agent.hello();
    await agent.say({ case: 'report', value: kubelet(ComponentState.VERIFIED, 'aa') });
    const value = { component: Component.KUBELET, cause: 'expired', fault: 'own', line: 'x509' };
    for (let round = 0; round < 20; round++) {
      // what is remembered to know a flood by must not be a flood itself
      const remote = `${'x'.repeat(1000)}${round}`;
      await agent.say({ case: 'observation', value: { ...value, line: `${round}`, remote } });
    }
    assert.equal(deps.fleet.get('w1', 'kubelet')?.state, ComponentState.VERIFIED);
    assert.deepEqual(await kinds('tls'), ['tls.observed']);
    assert.deepEqual(await kinds('component'), ['component.verified']);
  });

  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`writes a failure again after half a minute, and when it was heard of each minute, whatever the wall clock: ${stepMs} ms`, async (test) => {
      const { clock, store, connect, kinds } = await begin(test);
      const agent = connect('w1');
      await agent.hello();
      const value = { component: Component.KUBELET, cause: 'expired', fault: 'own', line: 'x509' };
      const observe = () => agent.say({ case: 'observation', value });
      const seenMs = async () => (await store.getNode('w1'))?.lastSeenAtMs;
      const helloMs = await seenMs();
      await observe();
      clock.step(stepMs);
      await clock.advance(29_999);
      await observe();
      assert.deepEqual(await kinds('tls'), ['tls.observed']);
      await clock.advance(1);
      await observe();
      assert.deepEqual(await kinds('tls'), ['tls.observed', 'tls.observed']);
      await agent.say({ case: 'heartbeat', value: {} });
      assert.equal(await seenMs(), helloMs);
      await clock.advance(30_000);
      await agent.say({ case: 'heartbeat', value: {} });
      assert.equal(await seenMs(), clock.nowMs());
    });
  }

  it('keeps an inventory, cut to what a node can have', async (test) => {
    const { store, connect } = await begin(test);
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

function kubelet(state: ComponentState, serial: string) {
  return { component: Component.KUBELET, state, certificates: [{ profile: Profile.KUBELET_SERVING, serial }] };
}
