import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { until } from '../../common/time/until-for-tests.ts';
import { lifetimeMs } from '../plan/fake-authorities.ts';
import { FakeCluster } from '../plan/fake-cluster.ts';
import { Reconciler } from './reconciler.ts';
import { begin, undone } from './reconciler-for-tests.ts';

describe('Reconciler, renewals', () => {
  /** A kubelet of a version that takes its certificates up live, or one of which nothing is known, with certificates of ours. */
  async function renewing(test: TestContext, version = '1.31.2') {
    const node = await begin(test, async () => {
      const cluster = await FakeCluster.worker();
      const stdout = `Kubernetes v${version}`;
      cluster.node.answers.set('/opt/bin/kubelet --version', { code: 0, stdout, stderr: '' });
      return cluster;
    });
    await node.pass();
    node.made.length = 0;
    /** Time for the clock and for the plan. */
    const later = async (ms: number) => {
      node.cluster.nowMs += ms;
      await node.clock.advance(ms);
    };
    const pause = () => {
      if (node.state.settings !== undefined) node.state.settings = { ...node.state.settings, rolloutPaused: true };
    };
    return { ...node, later, pause };
  }
  const DUE_MS = lifetimeMs * 0.7;

  it('are made while the rollout is paused when nothing is restarted', async (test) => {
    const { made, later, pause, pass } = await renewing(test);
    pause();
    await later(DUE_MS);
    assert.equal((await pass()).problem, '');
    assert.deepEqual(made, [['kubelet']]);
  });

  it('wait while it is paused when they need a restart', async (test) => {
    const { made, later, pause, pass } = await renewing(test, '1.20.2');
    pause();
    await later(DUE_MS);
    assert.match((await pass(true)).problem, /rollout is paused/);
    assert.deepEqual(made, []);
  });

  it('are tried again after a while, and other changes only on an operator’s word', async (test) => {
    const { cluster, state, made, failed, later, pass } = await renewing(test);
    state.outcome = async () => undone;
    await later(DUE_MS);
    await pass();
    await pass();
    assert.deepEqual([made.length, failed.length], [1, 1]);
    const leftMs = lifetimeMs - DUE_MS;
    await later(leftMs / 10 - 1_000);
    await pass();
    assert.equal(made.length, 1);
    await later(1_001);
    await pass();
    assert.deepEqual([made.length, failed.length], [2, 1]);
    cluster.settings = { ...cluster.settings, addresses: ['10.77.0.11', '10.77.0.99'] };
    await pass();
    assert.equal(made.length, 3);
    await later(leftMs / 2);
    await pass();
    assert.equal(made.length, 3); // names changed: no renewal
  });

  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`are tried again after the same while when the wall clock is set by ${stepMs} ms after they failed`, async (test) => {
      const { clock, state, made, failed, later, pass } = await renewing(test);
      state.outcome = async () => undone;
      await later(DUE_MS);
      await pass();
      assert.deepEqual([made.length, failed.length], [1, 1]);
      clock.step(stepMs);
      await later((lifetimeMs - DUE_MS) / 10 - 1_000);
      await pass();
      assert.equal(made.length, 1);
      await later(1_001);
      await pass();
      assert.equal(made.length, 2);
    });
  }

  it('are tried again in time by an agent that starts when the wall clock was set back', async (test) => {
    const { clock, deps, state, made, failed, later, pass } = await renewing(test);
    state.outcome = async () => undone;
    await later(DUE_MS);
    await pass();
    const [{ atMs } = assert.fail()] = failed;
    clock.step(-30 * 24 * 3_600_000);
    const next = new Reconciler({ ...deps, failed: [...failed] });
    const passNext = () => next.pass(new AbortController().signal, false);
    await passNext();
    assert.equal(made.length, 1);
    assert.ok(clock.nowMs() < atMs);
    await later((lifetimeMs - DUE_MS) / 10 + 1_000);
    await passNext();
    assert.equal(made.length, 2);
  });

  it('come in time, long before the interval is over, and again soon when they fail', async (test) => {
    const { clock, deps, made, state, later, stop } = await renewing(test);
    const reconciler = new Reconciler({ ...deps, intervalMs: lifetimeMs });
    const running = reconciler.run(stop.signal);
    const rests = () => until(() => clock.sleeping === 1, 'the sleep');
    await rests();
    await later(lifetimeMs * 0.56);
    assert.equal(made.length, 0);
    state.outcome = async () => undone;
    await later(lifetimeMs * 0.12);
    await until(() => made.length === 1, 'the first change');
    await rests();
    await later(lifetimeMs * 0.04); // a tenth of the third that is left
    await until(() => made.length === 2, 'the second change');
    stop.abort();
    await assert.rejects(running, { name: 'AbortError' });
  });

  it('are told of a change that waits for its permit and is the wrong one by now', async (test) => {
    const { cluster, state, made, deps, pause } = await renewing(test);
    const said: (string | undefined)[] = [];
    deps.rotate = async (change, outdated) => {
      made.push(change.components.map(({ component }) => component));
      said.push(outdated());
      pause();
      said.push(outdated());
      return { outcome: 'not-begun', reason: 'outdated' };
    };
    cluster.settings = { ...cluster.settings, addresses: ['10.77.0.11', '10.77.0.99'] };
    if (state.settings !== undefined) state.settings = { ...state.settings, node: cluster.settings };
    await new Reconciler(deps).pass(new AbortController().signal, false);
    assert.equal(said[0], undefined);
    assert.match(said[1] ?? '', /rollout is paused/);
  });
});
