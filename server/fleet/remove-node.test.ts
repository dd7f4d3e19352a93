import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { Component, ComponentState, ComponentStatusSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { createTurns } from '../enrol/in-turn.ts';
import { type Coordinator, createCoordinator } from '../permit/coordinator.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { sampleNode, sampleToken } from '../store/store-contract.ts';
import { FleetState } from './fleet-state.ts';
import { type RemoveNodeDeps, removeNode } from './remove-node.ts';

const by = { actor: 'admin/boss', source: '10.0.0.9' };
const kubelet = create(ComponentStatusSchema, { component: Component.KUBELET, state: ComponentState.APPLYING });
const wish = { permitId: '', reason: 'etcd', changeId: 'c1', undo: false, live: false };
const page = { size: 100, after: undefined };

describe('removeNode', () => {
  let clock: FakeClock;
  let store: Store;
  let fleet: FleetState;
  let permits: Coordinator;
  let deps: RemoveNodeDeps;
  /** What was done outside of the store, in order. */
  let done: string[];
  beforeEach(async () => {
    clock = new FakeClock();
    store = openSqliteStore(':memory:', clock);
    for (const name of ['cp1', 'cp2']) {
      await store.enrol({ node: sampleNode({ name, role: 'control-plane' }), useToken: undefined });
    }
    fleet = await FleetState.load(store, clock);
    const components = () => fleet.components(() => true);
    permits = createCoordinator({
      store,
      clock,
      ttlMs: 600_000,
      maxAgeMs: 1_800_000,
      kubeletShare: 0.1,
      components,
      grants: [],
    });
    done = [];
    deps = {
      ...{ store, fleet, permits },
      sessions: { end: (node, { reason }) => void done.push(`end ${node} ${reason}`) },
      pushSettings: async () => void done.push('push'),
      rotation: { check: async () => void done.push('check') },
      inTurn: createTurns(),
    };
  });
  afterEach(() => store.close());

  const events = async (kind: string) => (await store.listEvents({ kind }, page)).rows;
  const etcdOf = (node: string) => permits.acquire(node, { ...wish, components: ['etcd'] });

  it('revokes it, ends its session, forgets what it said, and lets go on what waited for it', async () => {
    await fleet.put('cp1', 'kubelet', kubelet);
    await fleet.put('cp2', 'kubelet', kubelet);
    await etcdOf('cp1');
    await assert.rejects(etcdOf('cp2'), { reason: 'unavailable' });
    await removeNode('cp1', by, deps);
    assert.equal((await store.getNode('cp1'))?.revoked, true);
    assert.deepEqual(done, ['end cp1 node-revoked', 'push', 'check']);
    assert.deepEqual(
      (await store.listStatuses()).map(({ node }) => node),
      ['cp2'],
    );
    assert.deepEqual([fleet.nodeCount, fleet.statusesOf('cp1')], [1, []]);
    assert.ok(await etcdOf('cp2'));
    const [event, ...more] = await events('node.removed');
    assert.deepEqual([event?.actor, event?.source, event?.node, more], ['admin/boss', '10.0.0.9', 'cp1', []]);
  });

  const etcds: [string[], string[], RegExp][] = [
    [
      ['cp1', 'cp2'],
      ['a', 'b', 'c'],
      /^cp1 ran one of 3 etcd members: 2 remain, and all of them must be up .*of 2 members 2/,
    ],
    [
      ['cp1', 'cp2'],
      ['a', 'b', 'c', 'd', 'e'],
      /one of 5 etcd members: 4 remain, and 3 of them must be up .*of 4 members 3/,
    ],
    [['cp1', 'cp2'], [], /one of 2 etcd members: 1 remains, and 2 must be up: etcd has no quorum without/],
    [['cp1'], ['a'], /^cp1 ran the only etcd member/],
  ];
  for (const [nodes, members, text] of etcds) {
    it(`tells of the quorum, when ${nodes} of ${members.length} members are of the fleet`, async () => {
      const etcd = { component: Component.ETCD, etcd: { clusterId: 'c', members } };
      for (const node of nodes) await fleet.put(node, 'etcd', create(ComponentStatusSchema, etcd));
      const [warning = '', ...more] = await removeNode('cp1', by, deps);
      assert.match(warning, text);
      assert.deepEqual(more, []);
      assert.ok((await events('node.removed'))[0]?.message.endsWith(warning));
    });
  }

  it('has nothing to say of a quorum where no etcd ran', async () => {
    await fleet.put('cp1', 'kubelet', kubelet);
    assert.deepEqual(await removeNode('cp1', by, deps), []);
  });

  it('does the rest once more for a node that is removed already, and says so once', async () => {
    await fleet.put('cp1', 'kubelet', kubelet);
    await removeNode('cp1', by, deps);
    await store.putStatus('cp1', 'kubelet', new Uint8Array()); // as a server leaves it that dies in between
    deps = { ...deps, fleet: await FleetState.load(store, clock) };
    done = [];
    await removeNode('cp1', by, deps);
    assert.deepEqual(done, ['end cp1 node-revoked', 'push', 'check']);
    assert.deepEqual(await store.listStatuses(), []);
    assert.equal((await events('node.removed')).length, 1);
  });

  it('keeps no report that was on its way', async () => {
    const late = fleet.put('cp1', 'kubelet', kubelet);
    await Promise.all([removeNode('cp1', by, deps), late]);
    assert.deepEqual([await store.listStatuses(), fleet.statusesOf('cp1')], [[], []]);
    await fleet.put('cp1', 'kubelet', kubelet);
    assert.deepEqual([await store.listStatuses(), fleet.statusesOf('cp1')], [[], []]);
  });

  it('refuses a name that never was, and changes nothing', async () => {
    await assert.rejects(removeNode('cp9', by, deps), { reason: 'node-unknown', message: /no node cp9/ });
    assert.deepEqual([done, await events('node')], [[], []]);
  });

  it('revokes the tokens by which it could come back: those from before, and no others', async () => {
    const token = (id: string, fields: Parameters<typeof sampleToken>[0]) =>
      store.insertToken(sampleToken({ id, allowReenroll: true, nodeNames: ['cp1', 'cp2'], ...fields }));
    await token('back0001', {});
    await token('other001', { nodeNames: ['cp2'] });
    await token('fresh001', { allowReenroll: false });
    await removeNode('cp1', by, deps);
    await token('since001', {}); // the word of an operator after the removal
    await removeNode('cp1', by, deps);
    const { rows } = await store.listTokens(page);
    assert.deepEqual(
      rows.flatMap(({ id, revoked }) => (revoked ? [id] : [])),
      ['back0001'],
    );
    const revocations = await events('token.revoked');
    assert.deepEqual(
      revocations.map(({ actor, source, message }) => [actor, source, /back0001/.test(message)]),
      [['admin/boss', '10.0.0.9', true]],
    );
  });

  it('looks at more tokens than one page', async () => {
    for (let index = 0; index < 1001; index++) {
      const id = `t${String(index).padStart(7, '0')}`;
      await store.insertToken(sampleToken({ id, allowReenroll: index === 0, nodeNames: ['cp1'] }));
    }
    await removeNode('cp1', by, deps);
    assert.equal((await store.getToken('t0000000'))?.revoked, true);
  });
});
