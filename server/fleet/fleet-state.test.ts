import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { Component, ComponentStatusSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { openSqliteStore } from '../store/sqlite-store.ts';
import { sampleNode } from '../store/store-contract.ts';
import { FleetState } from './fleet-state.ts';

describe('the state of the fleet', () => {
  it('knows how long ago a component took up files without a restart last; after a start of the server, at the latest then', async () => {
    const clock = new FakeClock();
    const store = openSqliteStore(':memory:', clock);
    await store.enrol({ node: sampleNode({ name: 'w1', role: 'worker' }), useToken: undefined });
    const load = () => FleetState.load(store, clock);
    const fleet = await load();
    const at = (state: FleetState) => state.components(() => true)[0]?.liveAgoMs;
    const report = (restarts: number, reloads: number) =>
      fleet.put('w1', 'kubelet', create(ComponentStatusSchema, { component: Component.KUBELET, restarts, reloads }));

    await report(1, 0);
    assert.equal(at(fleet), undefined);
    await clock.advance(1000);
    await report(1, 1);
    clock.step(3_600_000);
    await clock.advance(1000);
    await report(2, 1);
    assert.equal(at(fleet), 1000, 'a restart is none');
    await clock.advance(1000);
    assert.equal(at(await load()), 0);
    await store.close();
  });
});
