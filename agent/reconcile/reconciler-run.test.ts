import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { until } from '../../common/time/until-for-tests.ts';
import { FakeCluster } from '../plan/fake-cluster.ts';
import { begin, INTERVAL_MS } from './reconciler-for-tests.ts';

const MINUTE_MS = 60_000;

describe('Reconciler, running', () => {
  it('passes at the interval, and at once when woken, also in the middle of a pass', async (test) => {
    const { clock, state, reconciler, stop } = await begin(test, FakeCluster.worker);
    const rests = (looks: number) =>
      until(() => state.looks === looks && clock.sleeping === 1, 'the rest after that many looks');
    const running = reconciler.run(stop.signal);
    await rests(2); // a change, and a look after it
    await clock.advance(INTERVAL_MS);
    await rests(3);
    reconciler.wake();
    await rests(4);
    const { settings } = state;
    state.settings = undefined;
    reconciler.wake();
    await until(() => clock.sleeping === 1, 'the sleep');
    assert.equal(state.looks, 4);
    state.settings = settings;
    reconciler.wake();
    reconciler.wake();
    await rests(5);
    stop.abort();
    await assert.rejects(running, { name: 'AbortError' });
  });

  it('comes again to what was not begun as soon as the server can be reached, and to nothing else', async (test) => {
    const { clock, state, made, reconciler, stop } = await begin(test, FakeCluster.worker);
    const make = state.outcome;
    state.outcome = async () => ({ outcome: 'not-begun', reason: 'the disk of the CA server is full' });
    const rests = (changes: number) =>
      until(() => made.length === changes && clock.sleeping === 1, 'the rest after that many changes');
    const running = reconciler.run(stop.signal);
    await rests(1);
    state.outcome = make;
    reconciler.reconnected();
    await rests(2);
    const { looks } = state;
    reconciler.reconnected();
    await clock.advance(0);
    assert.equal(state.looks, looks);
    stop.abort();
    await assert.rejects(running, { name: 'AbortError' });
  });

  describe('with a kubelet that was proved', () => {
    /** At rest after the first two passes. */
    async function proved(test: TestContext) {
      const node = await begin(test, FakeCluster.worker);
      const running = node.reconciler.run(node.stop.signal);
      const rests = (looks: number) =>
        until(() => node.state.looks === looks && node.clock.sleeping === 1, 'the rest after that many looks');
      test.after(async () => {
        node.stop.abort();
        await assert.rejects(running, { name: 'AbortError' });
      });
      await rests(2);
      node.board.set('kubelet', { state: 'verified' });
      node.verified.length = 0;
      return { ...node, rests };
    }

    it('proves it anew within a minute when its log complains, however often, and changes nothing by that', async (test) => {
      const { clock, board, verified, reconciler, rests } = await proved(test);
      await clock.advance(10_000);
      for (let line = 0; line < 600; line++) reconciler.doubt('kubelet');
      assert.equal(board.get('kubelet')?.state, 'verified');
      await rests(2);
      await clock.advance(MINUTE_MS - 10_001);
      assert.deepEqual(verified, []);
      await clock.advance(1);
      await rests(3);
      assert.deepEqual(verified, ['kubelet']);
      await clock.advance(INTERVAL_MS - 1);
      assert.equal(verified.length, 1, 'nothing complained since');
      reconciler.doubt('kubelet');
      await rests(4);
      assert.equal(verified.length, 2, 'more than a minute has passed');
    });

    for (const stepMs of [60 * MINUTE_MS, -60 * MINUTE_MS]) {
      it(`proves it a minute after the pass when the wall clock is set by ${stepMs} ms, and rests its interval`, async (test) => {
        const { clock, verified, reconciler, rests, state } = await proved(test);
        clock.step(stepMs);
        reconciler.doubt('kubelet');
        await rests(2);
        await clock.advance(MINUTE_MS - 1);
        assert.deepEqual([verified, state.looks], [[], 2]);
        await clock.advance(1);
        await rests(3);
        assert.deepEqual(verified, ['kubelet']);
        clock.step(stepMs);
        await clock.advance(INTERVAL_MS - 1);
        assert.equal(state.looks, 3);
        await clock.advance(1);
        await rests(4);
      });
    }

    it('is degraded by a proof that fails, and verified by the next that passes, a minute later', async (test) => {
      const { clock, board, state, verified, reconciler, rests } = await proved(test);
      state.failVerification = true;
      reconciler.doubt('kubelet');
      await rests(2);
      await clock.advance(MINUTE_MS);
      await rests(3);
      assert.equal(board.get('kubelet')?.state, 'degraded');
      state.failVerification = false;
      await clock.advance(MINUTE_MS);
      await rests(4);
      assert.deepEqual([board.get('kubelet')?.state, verified.length], ['verified', 2]);
    });

    it('does not prove what never was', async (test) => {
      const { clock, board, state, reconciler, rests } = await proved(test);
      board.set('kubelet', { state: 'rolled-back' });
      reconciler.doubt('kubelet');
      reconciler.doubt('etcd');
      await rests(2);
      await clock.advance(INTERVAL_MS - 1);
      assert.equal(state.looks, 2);
    });
  });
});
