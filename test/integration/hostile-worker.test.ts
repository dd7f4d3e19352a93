/** What one worker can do to the fleet with the permits that it asks for, the heartbeats and the reports that it sends. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type Clock, systemClock } from '../../common/time/clock.ts';
import { until } from '../../common/time/until-for-tests.ts';
import { Component, ComponentState, type Permit } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { type Clients, failureOf, startTestServer, type TestServer } from './server-fixture.ts';

const TTL_MS = 30_000;
const MAX_AGE_MS = 300_000;
const KUBELET = { components: [Component.KUBELET], reason: 'new certificates' };
/** The real time, of which the tests let more pass; sleeps are as long as ever. */
const clock: Clock & { aheadMs: number } = {
  aheadMs: 0,
  nowMs: () => systemClock.nowMs() + clock.aheadMs,
  monotonicMs: () => systemClock.monotonicMs() + clock.aheadMs,
  sleep: (ms, signal) => systemClock.sleep(ms, signal),
};
let server: TestServer;
let admin: Clients;
let w1: Clients;
let w2: Clients;
let session: ReturnType<Clients['agent']['session']>;

before(async () => {
  server = await startTestServer('permits: {ttl: 30s, maxAge: 5m}\n', { clock });
  admin = server.connect(await server.admin('root', 'admin'));
  [w1, w2] = [server.connect(await server.enrol('w1', 'worker')), server.connect(await server.enrol('w2', 'worker'))];
  session = w1.agent.session();
  session.write({ message: { case: 'hello', value: {} } });
  await until(async () => (await admin.fleet.getNode({ name: 'w1' })).node?.online === true, 'w1 is online');
});
after(async () => {
  session.close();
  await server.close();
});

const permitOf = async (node: string): Promise<Permit | undefined> =>
  (await admin.rollout.getRollout({})).rollout?.permits.find((it) => it.node === node);
const isPaused = async () => (await admin.rollout.getRollout({})).rollout?.paused;

/** Reports of w1, which are there when this resolves. */
async function report(component: Component, state: ComponentState, reason: string): Promise<void> {
  session.write({ message: { case: 'report', value: { component, state, reason } } });
  const isThere = async () =>
    (await admin.fleet.getNode({ name: 'w1' })).components.some(
      (it) => it.component === component && it.reason === reason,
    );
  await until(isThere, `the report: ${reason}`);
  // what it leads to comes before its session hears the next message
  session.write({ message: { case: 'report', value: { component: Component.KUBE_PROXY, reason } } });
  const isOver = async () =>
    (await admin.fleet.getNode({ name: 'w1' })).components.some(
      (it) => it.component === Component.KUBE_PROXY && it.reason === reason,
    );
  await until(isOver, `the report after: ${reason}`);
}

describe('a hostile worker', () => {
  it('holds nobody up by its permit once that has its greatest age, and renewals without a restart never', async () => {
    const { permitId } = await w1.agent.acquireRestartPermit({ ...KUBELET, changeId: 'a1' });
    const live = await w2.agent.acquireRestartPermit({ ...KUBELET, changeId: 'b1', live: true });
    await w2.agent.releaseRestartPermit({ permitId: live.permitId });
    const refused = await failureOf(w2.agent.acquireRestartPermit({ ...KUBELET, changeId: 'b2' }));
    assert.match(refused.message, /are being changed \(w1\)/);
    // it says for as long as it likes that it works on it
    for (let heldMs = 0; heldMs < MAX_AGE_MS; heldMs += TTL_MS - 5000) {
      const before = (await permitOf('w1'))?.expiresAt?.seconds;
      clock.aheadMs += TTL_MS - 5000;
      session.write({ message: { case: 'heartbeat', value: { nodeTime: timestampFromMs(clock.nowMs()), permitId } } });
      await until(async () => (await permitOf('w1'))?.expiresAt?.seconds !== before, 'w1 renews');
    }
    const granted = await w2.agent.acquireRestartPermit({ ...KUBELET, changeId: 'b2' });
    const { warnings } = await admin.fleet.getFleetStatus({});
    assert.ok(
      warnings.some((it) => /^w1 holds its permit for kubelet since .* beyond the greatest age of 5m/.test(it)),
      warnings.join('; '),
    );
    const told = await admin.fleet.listEvents({ node: 'w1', kind: 'permit.overdue' });
    assert.equal(told.events.length, 1);
    for (const [node, id] of [
      [w1, permitId],
      [w2, granted.permitId],
    ] as const) {
      await node.agent.releaseRestartPermit({ permitId: id });
    }
  });

  it('holds nobody up by saying that it is being changed', async () => {
    clock.aheadMs += MAX_AGE_MS; // since its permit
    await report(Component.KUBELET, ComponentState.APPLYING, 'so it says');
    const { permitId } = await w2.agent.acquireRestartPermit({ ...KUBELET, changeId: 'b3' });
    await w2.agent.releaseRestartPermit({ permitId });
  });

  it('stops nothing by failures of components that are none of its role, or that it had no permit for', async () => {
    await report(Component.KUBE_SCHEDULER, ComponentState.ROLLED_BACK, 'it has none');
    assert.equal(await isPaused(), false);
    const { permitId } = await w1.agent.acquireRestartPermit({ ...KUBELET, changeId: 'a2' });
    await w1.agent.releaseRestartPermit({ permitId });
    await report(Component.KUBELET, ComponentState.ROLLED_BACK, 'an honest failure');
    assert.equal(await isPaused(), true);
    await admin.rollout.resumeRollout({});
    await report(Component.KUBELET, ComponentState.VERIFYING, 'once more');
    await report(Component.KUBELET, ComponentState.ROLLED_BACK, 'under the permit of before');
    await report(Component.KUBE_SCHEDULER, ComponentState.PENDING, 'it has none still');
    await report(Component.KUBE_SCHEDULER, ComponentState.ROLLED_BACK, 'of course');
    assert.equal(await isPaused(), false);
  });

  it('stops nothing any more once the rollout goes on without it', async () => {
    const fail = async (reason: string) => {
      const { permitId } = await w1.agent.acquireRestartPermit({ ...KUBELET, changeId: reason, live: true });
      await report(Component.KUBELET, ComponentState.VERIFYING, `${reason}, being checked`);
      await report(Component.KUBELET, ComponentState.ROLLED_BACK, reason);
      await w1.agent.releaseRestartPermit({ permitId });
    };
    await fail('again');
    assert.equal(await isPaused(), true);
    const { warnings } = await admin.fleet.getFleetStatus({});
    assert.ok(
      warnings.some((it) => /^failures on w1 stopped the rollout 2 times within a day/.test(it)),
      warnings.join('; '),
    );
    const { rollout } = await admin.rollout.resumeRollout({ leaveOut: ['w1'] });
    assert.deepEqual([rollout?.paused, rollout?.leftOut], [false, ['w1']]);
    await fail('and again');
    assert.equal(await isPaused(), false);
    assert.equal(
      (await failureOf(w1.agent.acquireRestartPermit({ ...KUBELET, changeId: 'a9' }))).reason,
      'policy-refused',
    );
  });
});
