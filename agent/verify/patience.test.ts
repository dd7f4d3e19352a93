import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { CheckOutcome } from './checks.ts';
import { noPatience } from './no-patience-for-tests.ts';
import { type Patience, READINESS_MS, retryUntilGood, TAKE_UP_MS } from './patience.ts';

const signal = new AbortController().signal;

function attempts(...results: CheckOutcome['result'][]) {
  let made = 0;
  const attempt = async (): Promise<CheckOutcome> => {
    const result = results[Math.min(made++, results.length - 1)] ?? 'failed';
    return { kind: 'handshake', result, summary: `attempt ${made}`, evidence: [] };
  };
  return { attempt, made: () => made };
}

describe('patience', () => {
  it('lasts as long as a component needs on a slow machine until it is ready, or takes new files up', () => {
    const minutes = Object.fromEntries(Object.entries(READINESS_MS).map(([component, ms]) => [component, ms / 60_000]));
    assert.deepEqual(minutes, {
      ...{ etcd: 1, kubelet: 1.5, 'kube-apiserver': 2, 'kube-controller-manager': 1.5 },
      ...{ 'kube-scheduler': 1.5, 'kube-proxy': 1, admin: 0.5 },
    });
    assert.equal(TAKE_UP_MS / 60_000, 2.5);
  });
});

describe('retryUntilGood', () => {
  const after = (clock: FakeClock, ms: number, hopeless = false): Patience => ({
    untilMs: clock.monotonicMs() + ms,
    hopeless: () => Promise.resolve(hopeless),
  });

  it('tries again each second until an attempt is good', async () => {
    const clock = new FakeClock(0);
    const { attempt, made } = attempts('failed', 'failed', 'passed');
    const running = retryUntilGood(clock, after(clock, 10_000), signal, attempt);
    await clock.advance(2000);
    assert.equal((await running).summary, 'attempt 3');
    assert.equal(made(), 3);
  });

  it('takes skipped for good', async () => {
    const clock = new FakeClock(0);
    const outcome = await retryUntilGood(clock, after(clock, 10_000), signal, attempts('skipped').attempt);
    assert.equal(outcome.result, 'skipped');
  });

  it('ends with the last failure when time is up', async () => {
    const clock = new FakeClock(0);
    const { attempt, made } = attempts('failed');
    const running = retryUntilGood(clock, after(clock, 3000), signal, attempt);
    await clock.advance(60_000);
    assert.equal((await running).result, 'failed');
    assert.equal(made(), 4);
  });

  it('does not count the time in which another server does not answer, up to its limit', async () => {
    const clock = new FakeClock(0);
    let answersAtMs = 100_000;
    let made = 0;
    const attempt = async (): Promise<CheckOutcome> => {
      made++;
      const unanswered = clock.nowMs() < answersAtMs;
      return { kind: 'cluster', result: 'failed', summary: '', evidence: [], ...(unanswered ? { unanswered } : {}) };
    };
    const silence = { mostMs: 600_000, spentMs: 0 };
    const running = retryUntilGood(clock, { ...after(clock, 3000), silence }, signal, attempt);
    await clock.advance(102_000);
    assert.equal(made, 103);
    await clock.advance(2_000);
    await running;
    assert.equal(clock.nowMs(), 104_000);
    assert.equal(made, 104, 'three seconds are left once it answers');

    answersAtMs = Number.POSITIVE_INFINITY;
    made = 0;
    const fresh = { mostMs: 600_000, spentMs: 0 };
    const patient = { ...after(clock, 3000), silence: fresh };
    const silent = retryUntilGood(clock, patient, signal, attempt);
    await clock.advance(700_000);
    await silent;
    assert.equal(made, 604);

    made = 0;
    await retryUntilGood(clock, patient, signal, attempt);
    assert.deepEqual(
      [made, fresh.spentMs],
      [1, 600_000],
      'the next check of the component has no ten minutes of its own',
    );
  });

  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`is as patient, with a component and with silence, when the wall clock is set by ${stepMs} ms`, async () => {
      const clock = new FakeClock();
      const { attempt, made } = attempts('failed');
      const running = retryUntilGood(clock, after(clock, 3000), signal, attempt);
      clock.step(stepMs);
      await clock.advance(60_000);
      await running;
      assert.equal(made(), 4);

      const silence = { mostMs: 10_000, spentMs: 0 };
      const unanswered = async () => ({ ...(await attempt()), unanswered: true });
      const silent = retryUntilGood(clock, { ...after(clock, 3000), silence }, signal, unanswered);
      await clock.advance(5000);
      clock.step(stepMs);
      await clock.advance(60_000);
      await silent;
      assert.equal(silence.spentMs, 10_000);
      assert.equal(made(), 4 + 14);
    });
  }

  it('waits for nobody besides unless it is told to, nor when there is no hope', async () => {
    const silence = async (): Promise<CheckOutcome> => {
      return { kind: 'cluster', result: 'failed', summary: '', evidence: [], unanswered: true };
    };
    const clock = new FakeClock(0);
    const short = retryUntilGood(clock, after(clock, 3000), signal, silence);
    await clock.advance(4000);
    await short;
    await retryUntilGood(
      clock,
      { ...after(clock, 0, true), silence: { mostMs: 600_000, spentMs: 0 } },
      signal,
      silence,
    );
  });

  it('ends at once when there is no hope, or no patience', async () => {
    const clock = new FakeClock();
    for (const patience of [after(clock, 60_000, true), noPatience]) {
      const { attempt, made } = attempts('failed');
      assert.equal((await retryUntilGood(clock, patience, signal, attempt)).result, 'failed');
      assert.equal(made(), 1);
    }
  });

  it('stops when its signal fires', async () => {
    const stop = new AbortController();
    const clock = new FakeClock(0);
    const running = retryUntilGood(clock, after(clock, 60_000), stop.signal, attempts('failed').attempt);
    const rejected = assert.rejects(running, { name: 'AbortError' });
    await clock.advance(100);
    stop.abort();
    await rejected;
  });
});

describe('the time that a component is given to become ready', () => {
  const rows: [Component, ms: number][] = [
    ['etcd', 60_000],
    ['kube-apiserver', 120_000],
    ['kube-controller-manager', 90_000],
    ['kube-scheduler', 90_000],
    ['kubelet', 90_000],
    ['kube-proxy', 60_000],
  ];
  for (const [component, ms] of rows) {
    it(`is ${ms / 1000} s for ${component}: on a slow machine every change would be undone with less`, () => {
      assert.equal(READINESS_MS[component], ms);
    });
  }
});
