import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
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
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { sampleIntent, sampleNode } from '../store/store-contract.ts';
import { type ReportDeps, takeObservation, takeReport } from './take-report.ts';

let clock: FakeClock;
let store: Store;
let deps: ReportDeps;

beforeEach(async () => {
  clock = new FakeClock();
  store = openSqliteStore(':memory:', clock);
  await store.enrol({ node: sampleNode({ name: 'w1', role: 'worker' }), useToken: undefined });
  deps = { store, clock, fleet: await FleetState.load(store, clock), pause: async () => {} };
});
afterEach(() => store.close());

const report = (fields: MessageInitShape<typeof ComponentStatusSchema>, skewMs = 0) =>
  takeReport('w1', create(ComponentStatusSchema, { component: Component.KUBELET, ...fields }), deps, skewMs);
/** With a certificate that peers have confirmed. */
const verified = (atMs: number, skewMs = 0) => {
  const certificates = [{ profile: Profile.KUBELET_SERVING, serial: 'aa' }];
  return report({ state: ComponentState.VERIFIED, certificates, updatedAt: timestampFromMs(atMs) }, skewMs);
};
const complain = async (atMs: number) => {
  const seen = { component: Component.KUBELET, fault: 'own', loggedAt: timestampFromMs(atMs) };
  await takeObservation('w1', create(TlsObservationSchema, seen), deps);
};
const stateNow = () => deps.fleet.get('w1', 'kubelet')?.state;

describe('a component that its journal complained about', () => {
  beforeEach(async () => {
    await store.recordIntents([sampleIntent({ holder: 'w1', serial: 'aa', publicKeyPin: 'w1' })]);
    await confirm(store, { node: 'w1', component: 'kubelet', serial: 'aa' }, 'fine');
  });

  for (const aheadMs of [0, -120_000, 120_000]) {
    it(`is verified again by what came later on a node whose clock is ${aheadMs / 1000} s ahead, and by nothing else`, async () => {
      const nodeMs = clock.nowMs() + aheadMs;
      await verified(nodeMs - 1000, aheadMs);
      await complain(nodeMs);
      assert.equal(stateNow(), ComponentState.DEGRADED);
      await verified(nodeMs - 1000, aheadMs); // said again after a reconnect
      assert.equal(stateNow(), ComponentState.DEGRADED);
      await verified(nodeMs + 1000, aheadMs);
      assert.equal(stateNow(), ComponentState.VERIFIED);
    });
  }

  it('is verified again once the clock of its node was set back', async () => {
    const dayMs = 86_400_000;
    await verified(clock.nowMs() + dayMs, dayMs);
    await complain(clock.nowMs() + dayMs + 1000); // "certificate has expired", say
    assert.equal(stateNow(), ComponentState.DEGRADED);
    await verified(clock.nowMs());
    assert.equal(stateNow(), ComponentState.VERIFIED);
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
