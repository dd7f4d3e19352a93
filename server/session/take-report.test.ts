import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { TlsObservationSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import {
  Authority,
  Component,
  ComponentState,
  ComponentStatusSchema,
  Profile,
} from '../../proto/gen/kubemtls/v1/types_pb.js';
import { FleetState } from '../fleet/fleet-state.ts';
import { confirm } from '../peers/confirmations.ts';
import { type Coordinator, createCoordinator } from '../permit/coordinator.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { sampleIntent, sampleNode } from '../store/store-contract.ts';
import { type ReportDeps, takeObservation, takeReport } from './take-report.ts';

let clock: FakeClock;
let store: Store;
let deps: ReportDeps;
let permits: Coordinator;
/** Reasons for which the rollout was stopped. */
let stops: string[];

beforeEach(async () => {
  clock = new FakeClock();
  store = openSqliteStore(':memory:', clock);
  await store.enrol({ node: sampleNode({ name: 'w1', role: 'worker' }), useToken: undefined });
  const fleet = await FleetState.load(store, clock);
  const components = () => fleet.components(() => true);
  const limits = { ttlMs: 120_000, maxAgeMs: 1_800_000, kubeletShare: 0.1 };
  permits = createCoordinator({ store, clock, components, ...limits, grants: await store.listGrants() });
  stops = [];
  deps = { store, fleet, permits, pause: async ({ reason }) => void stops.push(reason) };
});
afterEach(() => store.close());

const report = (fields: MessageInitShape<typeof ComponentStatusSchema>) =>
  takeReport('w1', create(ComponentStatusSchema, { component: Component.KUBELET, ...fields }), deps);
/** With a certificate that peers have confirmed. */
const verified = () =>
  report({ state: ComponentState.VERIFIED, certificates: [{ profile: Profile.KUBELET_SERVING, serial: 'aa' }] });
const complain = async (count: number) => {
  const what = { cause: 'refused-by-peer', remote: '203.0.113.7', line: 'remote error: tls: bad certificate' };
  const seen = { component: Component.KUBELET, fault: 'own', count, ...what };
  await takeObservation('w1', create(TlsObservationSchema, seen), deps);
};
const newestOf = async (kind: string) => {
  const { rows } = await store.listEvents({ kind }, { size: 1, after: undefined });
  assert.ok(rows[0]);
  return rows[0];
};
const newest = () => newestOf('component');
const stateNow = () => deps.fleet.get('w1', 'kubelet')?.state;

describe('what a log says', () => {
  beforeEach(async () => {
    await store.recordIntents([sampleIntent({ holder: 'w1', serial: 'aa', publicKeyPin: 'w1' })]);
    await confirm(store, { node: 'w1', component: 'kubelet', serial: 'aa' }, 'fine');
  });

  it('is recorded with its count, and degrades nothing', async () => {
    await verified();
    await complain(600);
    assert.equal(stateNow(), ComponentState.VERIFIED);
    const { rows } = await store.listEvents({ kind: 'tls' }, { size: 9, after: undefined });
    assert.deepEqual(
      rows.map(({ message }) => message),
      ['kubelet: refused-by-peer, with 203.0.113.7, 600 times, remote error: tls: bad certificate'],
    );
  });

  it('is said once without a count', async () => {
    await complain(1);
    assert.match((await newestOf('tls')).message, /^kubelet: refused-by-peer, with 203.0.113.7, remote error/);
  });
});

describe('a failure that a node reports', () => {
  const rolledBack = (component: Component, restarts = 1) =>
    report({ component, state: ComponentState.ROLLED_BACK, restarts, reason: 'bind' });
  const acquire = (changeId = 'c1') => {
    const wish = { permitId: '', components: ['kubelet' as const], reason: 'new certificates', changeId };
    return permits.acquire('w1', { ...wish, undo: false, live: false });
  };

  it('stops the rollout under a permit for the component', async () => {
    await acquire();
    await rolledBack(Component.KUBELET);
    assert.deepEqual(stops, ['on w1 kubelet was rolled back: bind']);
  });

  it('stops nothing without a permit', async () => {
    await rolledBack(Component.KUBELET);
    assert.deepEqual([stops, stateNow()], [[], ComponentState.ROLLED_BACK]);
    assert.match((await newest()).message, /kubelet is rolled-back: bind; .* no permit .* the rollout goes on/);
  });

  it('stops nothing where the node is left out', async () => {
    await acquire();
    await store.putRollout({ ...(await store.getRollout()), leftOut: ['w1'] });
    await rolledBack(Component.KUBELET);
    assert.deepEqual(stops, []);
    assert.match((await newest()).message, /w1 is left out, so the rollout goes on$/);
  });

  it('stops nothing under a permit for another component', async () => {
    await acquire();
    await rolledBack(Component.KUBE_PROXY);
    assert.deepEqual(stops, []);
  });

  it('is for show only where the role of the node has no such component', async () => {
    await acquire();
    await rolledBack(Component.KUBE_SCHEDULER);
    assert.deepEqual(stops, []);
    assert.equal(deps.fleet.get('w1', 'kube-scheduler')?.state, ComponentState.ROLLED_BACK);
    assert.match((await newest()).message, /kube-scheduler is rolled-back: bind; .* worker .* the rollout goes on/);
  });
});

describe('what is kept of a report', () => {
  it('is no more than a person would read, whatever the node says', async () => {
    const long = 'x'.repeat(10_000);
    const many = Array.from({ length: 150 }, () => long);
    await report({
      state: ComponentState.PENDING,
      ...{ unit: long, version: long, reason: long, pendingFiles: many, endpoints: many },
      checks: [{ summary: long, evidence: many.map((line) => ({ line, source: line, cause: line })) }],
      certificates: many.map((text) => ({ serial: text, path: text, issuerPin: text })),
      trust: many.map(() => ({ authority: Authority.KUBERNETES, rootPins: many })),
      etcd: { clusterId: long, members: many },
      $unknown: [{ no: 999, wireType: 2, data: new TextEncoder().encode('\x05zzzzz') }],
    });
    const [kept] = await store.listStatuses();
    assert.ok(kept && kept.status.length < 350_000, `${kept?.status.length} bytes`);
    assert.ok(!Buffer.from(kept.status).toString('latin1').includes('zzzzz'), 'fields that nobody knows');
  });
});
