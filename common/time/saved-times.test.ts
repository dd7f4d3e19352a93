import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeClock } from './fake-clock.ts';
import { SavedTimes } from './saved-times.ts';

describe('SavedTimes', () => {
  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`makes nothing older or younger when the wall clock is set by ${stepMs} ms`, async () => {
      const clock = new FakeClock();
      const times = new SavedTimes(clock);
      const savedAtMs = clock.nowMs() - 5_000;
      assert.equal(times.ageMs('a', savedAtMs), 5_000);
      clock.step(stepMs);
      await clock.advance(1_000);
      assert.equal(times.ageMs('a', savedAtMs), 6_000);
    });
  }

  it('takes what was saved in the future for now, and what is saved anew for what it says', async () => {
    const clock = new FakeClock();
    const times = new SavedTimes(clock);
    const future = clock.nowMs() + 3_600_000;
    assert.equal(times.ageMs('a', future), 0);
    await clock.advance(1_000);
    assert.equal(times.ageMs('a', future), 1_000);
    assert.equal(times.ageMs('a', clock.nowMs() - 10), 10);
  });

  it('forgets what is gone', async () => {
    const clock = new FakeClock();
    const times = new SavedTimes(clock);
    const savedAtMs = clock.nowMs();
    for (const key of ['a', 'b']) times.ageMs(key, savedAtMs);
    times.keepOnly(new Set(['b']));
    clock.step(3_600_000);
    assert.deepEqual([times.ageMs('a', savedAtMs), times.ageMs('b', savedAtMs)], [3_600_000, 0]);
  });
});
