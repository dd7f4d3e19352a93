import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Backoff } from './backoff.ts';
import { FakeClock } from './fake-clock.ts';

const limits = { firstMs: 1_000, maxMs: 60_000 };

describe('Backoff', () => {
  it('doubles up to the maximum', () => {
    const backoff = new Backoff(limits, () => 1);
    const waits = Array.from({ length: 8 }, () => backoff.nextMs());
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    assert.equal(backoff.failures, 8);
  });

  it('waits half of that at least, and another time for each', () => {
    const least = new Backoff(limits, () => 0);
    assert.deepEqual([least.nextMs(), least.nextMs()], [500, 1_000]);
    const waits = new Set(Array.from({ length: 20 }, () => new Backoff(limits).nextMs()));
    assert.ok(waits.size > 1);
    for (const ms of waits) assert.ok(ms >= 500 && ms <= 1_000);
  });

  it('begins anew after a success', () => {
    const backoff = new Backoff(limits, () => 1);
    for (let turn = 0; turn < 5; turn++) backoff.nextMs();
    backoff.reset();
    assert.deepEqual([backoff.failures, backoff.nextMs()], [0, 1_000]);
  });

  it('never waits less than it was asked to, nor longer than a timer can', () => {
    const backoff = new Backoff(limits, () => 1);
    assert.equal(backoff.nextMs(90_000), 90_000);
    assert.equal(backoff.nextMs(1), 2_000);
    assert.equal(backoff.nextMs(Number.MAX_SAFE_INTEGER), 2 ** 31 - 1); // beyond it Node.js fires at once
  });

  it('stays at the maximum, whatever the number of failures', () => {
    for (const maxMs of [60_000, Number.MAX_SAFE_INTEGER]) {
      const backoff = new Backoff({ firstMs: 1_000, maxMs }, () => 1);
      let before = 0;
      for (let turn = 0; turn < 3_000; turn++) {
        const ms = backoff.nextMs();
        assert.ok(ms >= before && ms < 2 ** 31, `${ms} at turn ${turn}`);
        before = ms;
      }
    }
  });

  it('sleeps, and stops when the signal fires', async () => {
    const clock = new FakeClock();
    const backoff = new Backoff(limits, () => 1);
    const stop = new AbortController();
    const first = backoff.wait(clock, stop.signal);
    await clock.advance(1_000);
    await first;
    const second = backoff.wait(clock, stop.signal, 5_000);
    const stopped = assert.rejects(second, { name: 'AbortError' });
    await clock.advance(4_999);
    assert.equal(clock.sleeping, 1);
    stop.abort();
    await stopped;
  });
});
