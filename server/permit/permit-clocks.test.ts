import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { MAX_AGE_MS, row, TTL_MS, Workers, wish } from './coordinator-for-tests.ts';

const DAY_MS = 86_400_000;
const on = Workers.forEachTest();

describe('a wall clock that is set', () => {
  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`by ${stepMs} ms ends no permit, and shows it as long as ever`, async () => {
      const permit = await on.permits.acquire('w1', wish('kubelet'));
      await on.clock.advance(TTL_MS - 1000);
      on.clock.step(stepMs);
      assert.equal(on.permits.held('w1', permit.id, 'kubelet')?.id, permit.id);
      assert.deepEqual(
        on.permits.list().map(({ expiresAtMs, ageMs }) => [expiresAtMs - on.clock.nowMs(), ageMs]),
        [[1000, TTL_MS - 1000]],
      );
      const refusal = await on.permits
        .acquire('w1', wish('kubelet', { changeId: 'c2' }))
        .catch((thrown: unknown) => thrown);
      assert.ok(refusal instanceof AppError && refusal.retryAfterMs === 1000);
      await on.permits.renew('w1', permit.id);
      await on.clock.advance(TTL_MS - 1);
      assert.equal(on.permits.list().length, 1);
      await on.clock.advance(1);
      assert.deepEqual([on.permits.list(), on.permits.held('w1', permit.id, 'kubelet')], [[], undefined]);
      await on.permits.expire();
      assert.equal((await on.events('permit.expired')).length, 1);
    });

    it(`by ${stepMs} ms makes no permit older or younger, nor its undo`, async () => {
      const { id } = await on.permits.acquire('w1', wish('kubelet'));
      await on.beat('w1', id, MAX_AGE_MS - 2000);
      on.clock.step(stepMs);
      await on.beat('w1', id, 1000);
      assert.deepEqual(await on.events('permit.overdue'), []);
      await on.refused('w2', /\(w1\)/);
      const undo = await on.permits.acquire('w1', wish('kubelet', { changeId: 'c2', undo: true }));
      await on.refused('w2', /\(w1\)/);
      await on.beat('w1', undo.id, 1000);
      assert.ok(await on.permits.acquire('w2', wish('kubelet')));
    });

    it(`by ${stepMs} ms changes no turn`, async () => {
      const { id } = await on.permits.acquire('w1', wish('kubelet'));
      await on.refused('w2', /\(w1\)/);
      await on.permits.release('w1', id);
      on.clock.step(stepMs);
      await on.refused('w1', /w2 waits for its turn/);
      await on.clock.advance(14_001);
      assert.ok(await on.permits.acquire('w1', wish('kubelet')));
    });

    it(`by ${stepMs} ms leaves a failure its day to be told`, async () => {
      const { id } = await on.permits.acquire('w1', wish('kubelet'));
      await on.permits.release('w1', id);
      on.clock.step(24 * stepMs);
      await on.clock.advance(DAY_MS - 1);
      assert.equal(await on.permits.stopsRollout('w1', 'kubelet'), true);
      const again = await on.permits.acquire('w1', wish('kubelet'));
      await on.permits.release('w1', again.id);
      on.clock.step(24 * stepMs);
      await on.clock.advance(DAY_MS + 1);
      assert.equal(await on.permits.stopsRollout('w1', 'kubelet'), false);
    });

    it(`by ${stepMs} ms leaves agents their time to come back after a start of the server`, async () => {
      const { id } = await on.permits.acquire('w1', wish('kubelet'));
      await on.restart();
      on.clock.step(stepMs);
      assert.equal(on.permits.mayComeBack(id), true);
      await on.clock.advance(TTL_MS + 60_001);
      assert.equal(on.permits.mayComeBack(id), false);
    });
  }

  it('back before a start of the server leaves a place its greatest age and no more', async () => {
    await on.permits.acquire('w1', wish('kubelet'));
    on.fleet[0] = row('w1', 'kubelet', 'applying');
    on.clock.step(-24 * 3_600_000);
    await on.restart();
    await on.refused('w2', /\(w1\)/);
    await on.clock.advance(MAX_AGE_MS);
    assert.ok(await on.permits.acquire('w2', wish('kubelet')));
  });
});
