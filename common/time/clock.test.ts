import assert from 'node:assert/strict';
import { it } from 'node:test';
import { monotonicOf, steadyTime, systemClock } from './clock.ts';
import { FakeClock } from './fake-clock.ts';

it('the system has a clock that only goes on, in whole milliseconds', async () => {
  const beforeMs = systemClock.monotonicMs();
  await systemClock.sleep(5);
  const tookMs = systemClock.monotonicMs() - beforeMs;
  assert.ok(Number.isInteger(beforeMs) && tookMs >= 4 && tookMs < 60_000, `${tookMs} ms`);
});

it('what was written down has its moment on the monotonic clock, and the future is now', () => {
  const clock = new FakeClock();
  const agoMs = (writtenAtMs: number) => clock.monotonicMs() - monotonicOf(clock, writtenAtMs);
  const writtenAtMs = clock.nowMs() - 90_000;
  assert.deepEqual([agoMs(writtenAtMs), agoMs(clock.nowMs() + 1)], [90_000, 0]);
  clock.step(-3_600_000);
  assert.equal(agoMs(writtenAtMs), 0);
});

it('a steady time goes on from where the wall clock was, whatever is done to that', async () => {
  const clock = new FakeClock();
  const startMs = clock.nowMs();
  const steadyMs = steadyTime(clock);
  clock.step(-3_600_000);
  await clock.advance(1000);
  assert.equal(steadyMs(), startMs + 1000);
});
