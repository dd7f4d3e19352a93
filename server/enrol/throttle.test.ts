import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { Throttle } from './throttle.ts';

describe('Throttle', () => {
  const limits = { burst: 3, refillMs: 1000, maxKeys: 5 };

  it('lets a burst pass, then one try each refill', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle(clock, limits);
    for (let failures = 0; failures < 3; failures++) {
      assert.equal(throttle.waitMs('a'), 0);
      throttle.count('a');
    }
    assert.equal(throttle.waitMs('a'), 1000);
    assert.equal(throttle.waitMs('b'), 0);
    await clock.advance(999);
    assert.equal(throttle.waitMs('a'), 1);
    await clock.advance(1);
    assert.equal(throttle.waitMs('a'), 0);
    throttle.count('a');
    assert.equal(throttle.waitMs('a'), 1000);
    await clock.advance(10_000);
    for (let failures = 0; failures < 3; failures++) throttle.count('a');
    assert.equal(throttle.waitMs('a'), 1000);
  });

  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`waits no less and no longer when the wall clock is set by ${stepMs} ms`, async () => {
      const clock = new FakeClock();
      const throttle = new Throttle(clock, limits);
      for (let failures = 0; failures < 3; failures++) throttle.count('a');
      clock.step(stepMs);
      assert.equal(throttle.waitMs('a'), 1000);
      throttle.count('a');
      assert.equal(throttle.waitMs('a'), 2000);
      await clock.advance(2000);
      assert.equal(throttle.waitMs('a'), 0);
    });
  }

  it('remembers so many keys, those that failed last', () => {
    const throttle = new Throttle(new FakeClock(), limits);
    for (let failures = 0; failures < 3; failures++) throttle.count('first');
    for (let key = 0; key < 4; key++) throttle.count(`k${key}`);
    throttle.count('first');
    for (let key = 4; key < 1000; key++) {
      throttle.count(`k${key}`);
      throttle.count('first');
    }
    assert.equal(throttle.size, 5);
    assert.ok(throttle.waitMs('first') > 0);
    for (let failures = 0; failures < 3; failures++) throttle.count('victim');
    for (let key = 0; key < 5; key++) throttle.count(`n${key}`);
    assert.equal(throttle.waitMs('victim'), 0);
  });
});
