import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { type Coordinator, createCoordinator } from './coordinator.ts';
import { limits, row, TTL_MS, wish } from './coordinator-for-tests.ts';
import type { PermitWish } from './permit.ts';
import { SHARED } from './rules.ts';

let clock: FakeClock;
let store: Store;
let fleet: FleetComponent[];
let permits: Coordinator;

beforeEach(() => {
  clock = new FakeClock();
  store = openSqliteStore(':memory:', clock);
  fleet = [];
  permits = fresh();
});

describe('coordinator', () => {
  it('grants a permit that ends by itself, and says so', async () => {
    const permit = await permits.acquire('n1', wish('etcd'));
    assert.equal(permit.expiresAtMs, clock.nowMs() + TTL_MS);
    assert.equal(permits.held('n1', permit.id, 'etcd')?.id, permit.id);
    await clock.advance(TTL_MS);
    assert.equal(permits.held('n1', permit.id, 'etcd'), undefined);
    await permits.expire();
    assert.deepEqual(await kinds(), ['permit.granted', 'permit.expired']);
    assert.deepEqual(permits.list(), []);
  });

  it('covers only the node and the components that it was asked for', async () => {
    const permit = await permits.acquire('n1', wish('etcd'));
    assert.equal(permits.held('n2', permit.id, 'etcd'), undefined);
    assert.equal(permits.held('n1', permit.id, 'kubelet'), undefined);
    assert.equal(permits.held('n1', 'other', 'etcd'), undefined);
  });

  it('renews by heartbeat, by the permit and by the change, without a new event', async () => {
    const permit = await permits.acquire('n1', wish('etcd'));
    await clock.advance(TTL_MS - 1);
    await permits.renew('n1', permit.id);
    await clock.advance(TTL_MS - 1);
    assert.equal((await permits.acquire('n1', wish('etcd', { permitId: permit.id }))).id, permit.id);
    await clock.advance(TTL_MS - 1);
    assert.equal((await permits.acquire('n1', wish('etcd'))).id, permit.id);
    assert.deepEqual(await kinds(), ['permit.granted']);
  });

  it('is not renewed by the heartbeat of another node', async () => {
    const permit = await permits.acquire('n1', wish('etcd'));
    await clock.advance(TTL_MS - 1);
    await permits.renew('n2', permit.id);
    await clock.advance(1);
    assert.deepEqual(permits.list(), []);
  });

  it('gives a permit back, but not by the word of another', async () => {
    const permit = await permits.acquire('n1', wish('etcd'));
    await permits.release('n2', permit.id);
    await permits.release('n1', 'unknown');
    assert.equal(permits.list().length, 1);
    await permits.release('n1', permit.id);
    assert.equal(permits.list().length, 0);
    assert.ok(await permits.acquire('n2', wish('etcd')));
  });

  it('gives a node one permit at a time, except to undo', async () => {
    await permits.acquire('n1', wish('etcd'));
    const error = await refusal('n1', wish('kubelet', { changeId: 'c2' }));
    assert.equal(error.reason, 'unavailable');
    assert.equal(error.retryAfterMs, TTL_MS);
    await permits.acquire('n1', wish('kubelet', { changeId: 'c2', undo: true }));
    assert.deepEqual(
      permits.list().map((it) => it.components),
      [['kubelet']],
    );
  });

  it('adds a component to a permit only when its rule allows', async () => {
    await permits.acquire('n1', wish('kubelet'));
    await permits.acquire('n2', wish('etcd'));
    assert.equal((await refusal('n1', wish('etcd', { components: ['kubelet', 'etcd'] }))).reason, 'unavailable');
    await permits.acquire('n1', wish('kubelet', { components: ['kubelet', 'kube-apiserver'] }));
    assert.deepEqual(permits.list().find((it) => it.node === 'n1')?.components, ['kubelet', 'kube-apiserver']);
  });

  it('asks for a component at least', async () => {
    assert.equal((await refusal('n1', wish('etcd', { components: [] }))).reason, 'invalid-request');
  });

  it('writes one event for a refusal that is met again and again', async () => {
    await permits.acquire('n1', wish('etcd'));
    for (let round = 0; round < 5; round++) await refusal('n2', wish('etcd'));
    assert.deepEqual(await kinds(), ['permit.granted', 'permit.refused']);
  });

  it('sees one free place once, however many ask at the same moment', async () => {
    const nodes = ['a', 'b', 'c', 'd'];
    const results = await Promise.allSettled(nodes.map((node) => permits.acquire(node, wish('kube-apiserver'))));
    assert.equal(results.filter((it) => it.status === 'fulfilled').length, 1);
  });
});

describe('rules', () => {
  const rows: [string, FleetComponent[], PermitWish, RegExp | undefined][] = [
    ['the first etcd', [row('n1', 'etcd', 'pending')], wish('etcd'), undefined],
    ['etcd beside a verified one', [row('n2', 'etcd', 'verified')], wish('etcd'), undefined],
    ['etcd beside a detected one', [row('n2', 'etcd', 'detected')], wish('etcd'), undefined],
    ['etcd beside one that waits as well', [row('n2', 'etcd', 'waiting-for-permit')], wish('etcd'), undefined],
    ['etcd beside one that was undone', [row('n2', 'etcd', 'rolled-back')], wish('etcd'), undefined],
    ['etcd beside one being changed', [row('n2', 'etcd', 'applying')], wish('etcd'), /etcd on n2 is applying/],
    ['etcd beside one being verified', [row('n2', 'etcd', 'verifying')], wish('etcd'), /n2 is verifying/],
    ['etcd beside a failed one', [row('n2', 'etcd', 'failed')], wish('etcd'), /n2 is failed/],
    ['etcd beside a degraded one', [row('n2', 'etcd', 'degraded')], wish('etcd'), /n2 is degraded/],
    ['etcd beside a silent one', [row('n2', 'etcd', 'verified', false)], wish('etcd'), /n2 is not heard of/],
    ['undoing etcd beside a failed one', [row('n2', 'etcd', 'failed')], wish('etcd', { undo: true }), undefined],
    [
      'an API server beside one being changed',
      [row('n2', 'kube-apiserver', 'applying')],
      wish('kube-apiserver'),
      /n2 is applying/,
    ],
    [
      'an API server beside a silent one',
      [row('n2', 'kube-apiserver', 'verified', false)],
      wish('kube-apiserver'),
      undefined,
    ],
    ['its own component being changed', [row('n1', 'kube-apiserver', 'applying')], wish('kube-apiserver'), undefined],
    ['a kubelet beside one being changed', [row('n2', 'kubelet', 'applying')], wish('kubelet'), /1 of 1 kubelets/],
    [
      'a kube-proxy beside one being changed',
      [row('n2', 'kube-proxy', 'verifying')],
      wish('kube-proxy'),
      /kube-proxys/,
    ],
    ['a kube-proxy beside a kubelet', [row('n2', 'kubelet', 'applying')], wish('kube-proxy'), undefined],
    [
      'a controller manager beside one being changed',
      [row('n2', 'kube-controller-manager', 'applying')],
      wish('kube-controller-manager'),
      /one is changed at a time/,
    ],
    ['a live take-up beside one being changed', [row('n2', 'etcd', 'applying')], wish('etcd', { live: true }), /n2/],
    ['kubeconfigs of administrators beside others', [row('n2', 'admin', 'applying')], wish('admin'), undefined],
    [
      'a kubelet beside one that died in its change',
      [row('n2', 'kubelet', 'applying', false)],
      wish('kubelet'),
      undefined,
    ],
    [
      'etcd and API server together, the API server being busy elsewhere',
      [row('n2', 'etcd', 'verified'), row('n2', 'kube-apiserver', 'verifying')],
      wish('etcd', { components: ['etcd', 'kube-apiserver'] }),
      /kube-apiserver on n2/,
    ],
  ];
  for (const [what, components, asked, hindrance] of rows) {
    it(`${hindrance === undefined ? 'grants' : 'refuses'} ${what}`, async () => {
      for (const { node, component, state } of components) {
        if (!SHARED.includes(component) || (state !== 'applying' && state !== 'verifying')) continue;
        await permits.acquire(node, wish(component)); // which it did not renew
        await clock.advance(TTL_MS);
      }
      fleet = components;
      if (hindrance === undefined) return void (await permits.acquire('n1', asked));
      const error = await refusal('n1', asked);
      assert.equal(error.reason, 'unavailable');
      assert.match(error.message, hindrance);
      assert.equal(error.retryAfterMs, 2000);
    });
  }

  for (const component of ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const) {
    it(`lets one ${component} be disturbed at a time, and says who holds the permit, even to undo`, async () => {
      await permits.acquire('n1', wish(component));
      assert.match((await refusal('n2', wish(component))).message, new RegExp(`n1 holds the permit for ${component}`));
      assert.match((await refusal('n2', wish(component, { undo: true }))).message, /n1 holds/);
    });
  }

  const shares: [number, number, number][] = [
    [1, 0.1, 1],
    [10, 0.1, 1],
    [20, 0.1, 2],
    [29, 0.1, 2],
    [10, 0.5, 5],
    [3, 1, 3],
  ];
  for (const [count, kubeletShare, most] of shares) {
    it(`lets ${most} of ${count} kubelets be disturbed at a share of ${kubeletShare}`, async () => {
      fleet = Array.from({ length: count }, (_, at) => row(`k${at}`, 'kubelet', 'pending'));
      permits = fresh(kubeletShare);
      for (let at = 0; at < most; at++) await permits.acquire(`k${at}`, wish('kubelet'));
      await assert.rejects(permits.acquire('late', wish('kubelet')), { reason: 'unavailable' });
    });
  }
});

describe('paused rollout', () => {
  beforeEach(() =>
    store.putRollout({
      paused: true,
      reason: 'w9 rolled back',
      node: 'w9',
      pausedAtMs: 1,
      retryGeneration: 0,
      leftOut: [],
    }),
  );

  it('grants nothing new and says why', async () => {
    const error = await refusal('n1', wish('kubelet'));
    assert.equal(error.reason, 'policy-refused');
    assert.match(error.message, /w9 rolled back.*kube-mtls rollout resume/);
  });

  it('still lets a node undo', async () => {
    assert.ok(await permits.acquire('n1', wish('kubelet', { undo: true })));
    await permits.release('n1', permits.list()[0]?.id ?? '');
    assert.ok(await permits.acquire('n1', wish('kubelet', { live: true })), 'certificates must not end in a pause');
  });

  it('lets a change that holds its permit come to its end', async () => {
    await store.putRollout({ paused: false, reason: '', node: '', pausedAtMs: 0, retryGeneration: 0, leftOut: [] });
    const { id } = await permits.acquire('n1', wish('kubelet'));
    await store.putRollout({ paused: true, reason: 'x', node: '', pausedAtMs: 1, retryGeneration: 0, leftOut: [] });
    assert.equal((await permits.acquire('n1', wish('kubelet', { permitId: id }))).id, id);
    await clock.advance(TTL_MS);
    const again = await refusal('n1', wish('kubelet', { permitId: id }));
    assert.equal(again.reason, 'policy-refused', 'a permit that ended does not come back');
  });
});

describe('after a restart of the server', () => {
  it('takes up the permit of a node that is in the middle of its change', async () => {
    fleet = [row('n1', 'etcd', 'applying'), row('n2', 'etcd', 'verified')];
    assert.equal(permits.mayComeBack('old-permit'), true);
    await permits.renew('n1', 'old-permit');
    assert.equal(permits.mayComeBack('old-permit'), false, 'it is back');
    assert.equal(permits.held('n1', 'old-permit', 'etcd')?.node, 'n1');
    assert.match((await refusal('n2', wish('etcd'))).message, /n1 holds/);
  });

  it('takes it up from a wish that names it, even while paused', async () => {
    await store.putRollout({ paused: true, reason: 'x', node: '', pausedAtMs: 1, retryGeneration: 0, leftOut: [] });
    assert.equal((await permits.acquire('n1', wish('etcd', { permitId: 'old-permit' }))).id, 'old-permit');
  });

  it('takes up none when another node holds what it is for', async () => {
    fleet = [row('n1', 'kube-apiserver', 'applying', false)];
    await permits.acquire('n2', wish('kube-apiserver', { undo: true }));
    await permits.renew('n1', 'old-permit');
    assert.deepEqual(
      permits.list().map((it) => it.node),
      ['n2'],
    );
  });

  it('takes up none for a node that changes nothing', async () => {
    fleet = [row('n1', 'etcd', 'verified')];
    await permits.renew('n1', 'old-permit');
    assert.deepEqual(permits.list(), []);
  });

  it('takes up none once every permit of the former run must have ended', async () => {
    fleet = [row('n1', 'etcd', 'applying')];
    await clock.advance(TTL_MS + 60_000);
    assert.equal(permits.mayComeBack('old-permit'), true);
    await clock.advance(1);
    assert.equal(permits.mayComeBack('old-permit'), false);
    await permits.renew('n1', 'old-permit');
    assert.deepEqual(permits.list(), []);
    assert.notEqual((await permits.acquire('n1', wish('etcd', { permitId: 'old-permit' }))).id, 'old-permit');
  });
});

function fresh(kubeletShare = 0.1): Coordinator {
  return createCoordinator({ store, clock, ...limits, kubeletShare, components: () => fleet, grants: [] });
}

async function refusal(node: string, asked: PermitWish): Promise<AppError> {
  const error = await permits.acquire(node, asked).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof AppError, 'it should have been refused');
  return error;
}

async function kinds(): Promise<string[]> {
  const { rows } = await store.listEvents({ kind: 'permit' }, { size: 100, after: undefined });
  return rows.map((it) => it.kind).reverse();
}
