import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeClock } from './fake-clock.ts';

describe('FakeClock', () => {
  it('wakes who is due in order, each with the time that it waited for', async () => {
    const clock = new FakeClock(0);
    const woken: [string, number][] = [];
    const wait = async (name: string, ms: number) => {
      await clock.sleep(ms);
      woken.push([name, clock.nowMs()]);
    };
    void wait('second', 20).then(() => wait('third', 10));
    void wait('first', 10);
    void wait('never', 31);
    await clock.advance(30);
    assert.deepEqual(woken, [
      ['first', 10],
      ['second', 20],
      ['third', 30],
    ]);
    assert.equal(clock.sleeping, 1);
  });

  it('rejects a sleep whose signal fires', async () => {
    const stop = new AbortController();
    const clock = new FakeClock(0);
    const sleeping = assert.rejects(clock.sleep(10, stop.signal), { name: 'AbortError' });
    stop.abort();
    await sleeping;
    assert.equal(clock.sleeping, 0);
    await assert.rejects(clock.sleep(10, stop.signal), { name: 'AbortError' });
  });

  it('sleeps for its time, whatever is done to the wall clock', async () => {
    for (const stepMs of [3_600_000, -3_600_000]) {
      const clock = new FakeClock();
      const [atMs, monotonicMs] = [clock.nowMs(), clock.monotonicMs()];
      const sleeping = clock.sleep(10);
      clock.step(stepMs);
      await clock.advance(9);
      assert.equal(clock.sleeping, 1);
      await clock.advance(1);
      await sleeping;
      assert.deepEqual([clock.nowMs() - atMs, clock.monotonicMs() - monotonicMs], [stepMs + 10, 10]);
    }
  });
});
