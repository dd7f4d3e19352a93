import assert from 'node:assert/strict';
import { it } from 'node:test';
import { systemClock } from './clock.ts';

it('the system has a clock that only goes on, in whole milliseconds', async () => {
  const beforeMs = systemClock.monotonicMs();
  await systemClock.sleep(5);
  const tookMs = systemClock.monotonicMs() - beforeMs;
  assert.ok(Number.isInteger(beforeMs) && tookMs >= 4 && tookMs < 60_000, `${tookMs} ms`);
});
