import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { type Component, components, type Role } from '../../common/names/names.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { AcquireRestartPermitRequestSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { sampleNode } from '../store/store-contract.ts';
import { acquirePermit } from './acquire-permit.ts';
import { type Coordinator, createCoordinator } from './coordinator.ts';
import { limits } from './coordinator-for-tests.ts';

let store: Store;
let permits: Coordinator;

beforeEach(async () => {
  const clock = new FakeClock();
  store = openSqliteStore(':memory:', clock);
  for (const role of ['worker', 'control-plane', 'etcd'] as const) {
    await store.enrol({ node: sampleNode({ name: role, role }), useToken: undefined });
  }
  permits = createCoordinator({ store, clock, ...limits, components: () => [], grants: [] });
});
afterEach(() => store.close());

function acquire(name: string, wanted: readonly number[], changeId = 'c1') {
  const request = create(AcquireRestartPermitRequestSchema, { components: [...wanted], reason: 'r', changeId });
  return acquirePermit(request, { name }, { store, permits });
}

const refused = (reason: Reason, words: RegExp) => (error: unknown) =>
  error instanceof AppError && error.reason === reason && words.test(error.message);

describe('acquirePermit', () => {
  const may: Record<Role, readonly Component[]> = {
    worker: ['kubelet', 'kube-proxy'],
    etcd: ['etcd'],
    'control-plane': components.all,
  };
  for (const [role, own] of Object.entries(may)) {
    for (const component of components.all) {
      const allowed = own.includes(component);
      it(`${allowed ? 'grants' : 'refuses'} a ${role} node one for ${component}`, async () => {
        const asked = acquire(role, [components.toNumber(component)]);
        if (allowed) assert.ok((await asked).permitId);
        else await assert.rejects(asked, refused('policy-refused', new RegExp(`a ${role} node has no ${component}`)));
        assert.equal(permits.list().length, allowed ? 1 : 0);
      });
    }
  }

  it('grants none for all where the role does not run one of them', async () => {
    const both = [components.toNumber('kubelet'), components.toNumber('etcd')];
    await assert.rejects(acquire('worker', both), refused('policy-refused', /no etcd/));
    assert.deepEqual(permits.list(), []);
  });

  it('takes each component once, and refuses what is none and who is none', async () => {
    const kubelet = components.toNumber('kubelet');
    await acquire('worker', [kubelet, kubelet]);
    assert.deepEqual(permits.list()[0]?.components, ['kubelet']);
    await assert.rejects(acquire('worker', [99]), refused('invalid-request', /99 is no component/));
    await assert.rejects(acquire('ghost', [kubelet]), refused('node-unknown', /enrol it again/));
  });
});
