import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { createCoordinator } from './coordinator.ts';
import { limits, MAX_AGE_MS, row, TTL_MS, Workers, wish } from './coordinator-for-tests.ts';

const DAY_MS = 86_400_000;
const on = Workers.forEachTest();

describe('a node that holds on to its permit', () => {
  it('holds up no renewal without a restart', async () => {
    await on.permits.acquire('w1', wish('kubelet'));
    assert.ok(await on.permits.acquire('w2', wish('kubelet', { live: true })));
  });

  it('holds up the restarts of others until its permit has its greatest age, whatever its heartbeats say', async () => {
    const { id } = await on.permits.acquire('w1', wish('kubelet'));
    await on.beat('w1', id, MAX_AGE_MS - 1);
    await on.refused('w2', /1 of 5 kubelets are being changed \(w1\)/);
    await on.beat('w1', id, 1);
    assert.ok(await on.permits.acquire('w2', wish('kubelet')));
    assert.equal(on.permits.held('w1', id, 'kubelet')?.id, id, 'its own change goes on');
    assert.equal((await on.events('permit.overdue')).length, 1);
    assert.match((await on.events('permit.overdue'))[0] ?? '', /^the permit for kubelet is held for 30m and more: /);
  });

  it('is not younger for a restart of the server', async () => {
    on.fleet[0] = row('w1', 'kubelet', 'verifying');
    const { id } = await on.permits.acquire('w1', wish('kubelet'));
    await on.beat('w1', id, MAX_AGE_MS - 1000);
    await on.restart();
    await on.permits.renew('w1', id);
    await on.refused('w2', /\(w1\)/);
    await on.beat('w1', id, 1000);
    assert.ok(await on.permits.acquire('w2', wish('kubelet')));
  });

  it('keeps its place over a restart of the server until it is back, and no longer', async () => {
    await on.permits.acquire('w1', wish('kubelet'));
    on.fleet[0] = row('w1', 'kubelet', 'verifying', false);
    await on.restart();
    await on.refused('w2', /1 of 5 kubelets are being changed \(w1\)/);
    await on.clock.advance(TTL_MS + 60_001);
    assert.ok(await on.permits.acquire('w2', wish('kubelet')));
  });

  it('is not younger for an undo', async () => {
    const { id } = await on.permits.acquire('w1', wish('kubelet'));
    await on.beat('w1', id, MAX_AGE_MS - 1000);
    const undo = await on.permits.acquire('w1', wish('kubelet', { changeId: 'c2', undo: true }));
    await on.refused('w2', /\(w1\)/);
    await on.beat('w1', undo.id, 1000);
    assert.ok(await on.permits.acquire('w2', wish('kubelet')));
  });

  for (const component of ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const) {
    it(`is waited for however long it holds one for ${component}, which may be down`, async () => {
      const { id } = await on.permits.acquire('w1', wish(component));
      await on.beat('w1', id, 2 * MAX_AGE_MS);
      await assert.rejects(on.permits.acquire('w2', wish(component)), /w1 holds the permit/);
      assert.equal((await on.events('permit.overdue')).length, 1);
      await on.permits.release('w1', id);
      assert.ok(await on.permits.acquire('w2', wish(component)));
    });
  }
});

describe('a node that asks again and again', () => {
  it('gives way to one that waited while it had its place, as long as that one asks', async () => {
    const { id } = await on.permits.acquire('w1', wish('kubelet'));
    await on.clock.advance(1000);
    await on.refused('w2', /\(w1\)/);
    await on.permits.release('w1', id);
    await on.refused('w1', /w2 waits for its turn, w1 had one/);
    const live = await on.permits.acquire('w1', wish('kubelet', { live: true }));
    await on.permits.release('w1', live.id);
    await on.refused('w1', /w2 waits for its turn/);
    const second = await on.permits.acquire('w2', wish('kubelet'));
    await on.refused('w1', /\(w2\)/);
    await on.permits.release('w2', second.id);
    await on.clock.advance(1000);
    await on.refused('w2', /w1 waits for its turn/);
    assert.ok(await on.permits.acquire('w1', wish('kubelet')));
  });

  it('has its place again when the other one asks no more', async () => {
    const { id } = await on.permits.acquire('w1', wish('kubelet'));
    await on.refused('w2', /\(w1\)/);
    await on.permits.release('w1', id);
    await on.clock.advance(20_000);
    assert.ok(await on.permits.acquire('w1', wish('kubelet')));
  });

  it('gives way to one that is a little late: twice the two seconds that it was told, and ten more', async () => {
    const { id } = await on.permits.acquire('w1', wish('kubelet'));
    await on.refused('w2', /\(w1\)/);
    await on.permits.release('w1', id);
    await on.clock.advance(14_000);
    await on.refused('w1', /w2 waits for its turn/);
    await on.clock.advance(1);
    assert.ok(await on.permits.acquire('w1', wish('kubelet')));
  });

  it('has had no turn an hour later, when whoever waited then has had one', async () => {
    const { id } = await on.permits.acquire('w1', wish('kubelet'));
    await on.permits.release('w1', id);
    await on.clock.advance(60 * 60_000 + 1);
    const other = await on.permits.acquire('w3', wish('kubelet'));
    await on.refused('w2', /\(w3\)/);
    await on.permits.release('w3', other.id);
    assert.ok(await on.permits.acquire('w1', wish('kubelet')));
  });

  it('asks more slowly the larger the fleet is: every two seconds, of 500 nodes every ten', async () => {
    const told = async () => {
      const error = await on.permits.acquire('w2', wish('kubelet')).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof AppError);
      return error.retryAfterMs;
    };
    await on.permits.acquire('w1', wish('kubelet'));
    assert.equal(await told(), 2_000);
    // each of them may take its place in the share
    on.fleet = Array.from({ length: 500 }, (_, at) => row(`n${at}`, 'kubelet', 'pending'));
    for (let at = 1; at < 50; at++) await on.permits.acquire(`n${at}`, wish('kubelet'));
    assert.equal(await told(), 10_000);
  });

  it('gives way only where it had its place, and nobody does who had none', async () => {
    const { id } = await on.permits.acquire('w1', wish('kube-proxy'));
    await on.refused('w2', /\(w1\)/, 'kube-proxy');
    await on.permits.release('w1', id);
    await on.refused('w1', /w2 waits/, 'kube-proxy');
    assert.ok(await on.permits.acquire('w1', wish('kubelet')));
    assert.ok(await on.permits.acquire('w3', wish('kube-proxy')));
  });
});

describe('a node that says it is being changed', () => {
  it('holds up no kubelet without a permit', async () => {
    on.fleet[0] = row('w1', 'kubelet', 'applying');
    assert.ok(await on.permits.acquire('w2', wish('kubelet')));
  });

  it('holds up kubelets with one that it did not renew, until that had its greatest age', async () => {
    await on.permits.acquire('w1', wish('kubelet'));
    on.fleet[0] = row('w1', 'kubelet', 'applying');
    await on.clock.advance(TTL_MS);
    await on.restart();
    await on.refused('w2', /\(w1\)/);
    await on.clock.advance(MAX_AGE_MS - TTL_MS);
    assert.ok(await on.permits.acquire('w2', wish('kubelet')));
  });

  it('holds up no kubelet with one to restart nothing', async () => {
    await on.permits.acquire('w1', wish('kubelet', { live: true }));
    on.fleet[0] = row('w1', 'kubelet', 'verifying');
    assert.ok(await on.permits.acquire('w2', wish('kubelet')));
    await assert.rejects(on.permits.acquire('w1', wish('kubelet')), /\(w2\)/, 'to restart after all takes a place');
  });

  it('holds up an API server, permit or not', async () => {
    on.fleet = [row('w1', 'kube-apiserver', 'applying', false)];
    await assert.rejects(on.permits.acquire('w2', wish('kube-apiserver')), /one is changed at a time/);
  });
});

describe('a node that is left out of the rollout', () => {
  const leaveOut = async (...leftOut: string[]) => on.store.putRollout({ ...(await on.store.getRollout()), leftOut });

  it('gets permits as in a pause, and the others theirs', async () => {
    await leaveOut('w1');
    await assert.rejects(on.permits.acquire('w1', wish('kubelet')), /w1 is left out .* rollout resume --let-in w1/);
    assert.ok(await on.permits.acquire('w2', wish('kubelet')));
    for (const fields of [{ live: true }, { undo: true }]) {
      const { id } = await on.permits.acquire('w1', wish('kubelet', fields));
      await on.permits.release('w1', id);
    }
  });

  it('is waited for no longer', async () => {
    await on.permits.acquire('w1', wish('kubelet'));
    await on.refused('w2', /\(w1\)/);
    await leaveOut('w1');
    assert.ok(await on.permits.acquire('w2', wish('kubelet')));
  });

  it('is waited for all the same where one is changed at a time', async () => {
    await on.permits.acquire('w1', wish('etcd'));
    await leaveOut('w1');
    await assert.rejects(on.permits.acquire('w2', wish('etcd')), /w1 holds the permit for etcd/);
  });
});

describe('a failure stops the rollout', () => {
  const stops = (component: 'kubelet' | 'kube-proxy' = 'kubelet') => on.permits.stopsRollout('w1', component);

  it('under a permit for the component, and of that node', async () => {
    assert.equal(await stops(), false);
    await on.permits.acquire('w1', wish('kubelet'));
    assert.equal(await stops('kube-proxy'), false);
    assert.equal(await on.permits.stopsRollout('w2', 'kubelet'), false);
    assert.equal(await stops(), true);
  });

  it('once a permit, also over a restart of the server', async () => {
    const { id } = await on.permits.acquire('w1', wish('kubelet'));
    assert.equal(await stops(), true);
    await on.permits.acquire('w1', wish('kubelet', { permitId: id }));
    assert.equal(await stops(), false);
    await on.restart();
    assert.equal(await stops(), false);
    await on.permits.acquire('w1', wish('kubelet', { changeId: 'c2' }));
    assert.equal(await stops(), true);
  });

  it('once a permit, also where a restart was added to a change that began live', async () => {
    const { id } = await on.permits.acquire('w1', wish('kubelet', { live: true }));
    assert.equal(await stops(), true);
    assert.equal((await on.permits.acquire('w1', wish('kubelet', { permitId: id }))).inShare, true);
    assert.equal(await stops(), false);
  });

  it('when its report comes after the release', async () => {
    const { id } = await on.permits.acquire('w1', wish('kubelet'));
    await on.permits.release('w1', id);
    assert.equal(await stops(), true);
  });

  it('when its node was cut off until its permit had ended and the server had started anew', async () => {
    await on.permits.acquire('w1', wish('kubelet'));
    await on.clock.advance(TTL_MS);
    await on.permits.expire();
    await on.restart();
    await on.clock.advance(DAY_MS - TTL_MS);
    assert.equal(await stops(), true);
  });

  it('not when it comes days later', async () => {
    const { id } = await on.permits.acquire('w1', wish('kubelet'));
    await on.permits.release('w1', id);
    await on.clock.advance(DAY_MS + 1);
    assert.equal(await stops(), false);
  });

  it('however old a permit is that is held', async () => {
    const { id } = await on.permits.acquire('w1', wish('kubelet'));
    await on.beat('w1', id, DAY_MS + 1);
    assert.equal(await stops(), true);
  });
});

it('grants nothing that cannot be written down', async () => {
  on.permits = createCoordinator({
    ...{ clock: on.clock, ...limits, components: () => on.fleet, grants: [] },
    store: { ...on.store, putGrants: () => Promise.reject(new Error('disk full')) },
  });
  await assert.rejects(on.permits.acquire('w1', wish('kubelet')), /disk full/);
  assert.deepEqual(on.permits.list(), []);
});
