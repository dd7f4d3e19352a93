import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { until } from '../../common/time/until-for-tests.ts';
import { FakeCluster } from '../plan/fake-cluster.ts';
import { kubeletCommand } from '../plan/fake-parts.ts';
import type { RotateOutcome } from '../rotate.ts';
import { Reconciler } from './reconciler.ts';
import { begin, undone } from './reconciler-for-tests.ts';

describe('Reconciler', () => {
  it('makes one change after another, planning anew after each, then verifies what needs none', async (test) => {
    const { made, state, verified, board, pass } = await begin(test);
    const { outcomes, problem } = await pass();
    assert.equal(problem, '');
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome.outcome),
      made.map(() => 'kept'),
    );
    assert.deepEqual(made[0], ['etcd', 'kube-apiserver']);
    assert.equal(state.looks, made.length + 1);
    assert.deepEqual(verified, ['etcd', 'kube-apiserver']); // the board says only that they were found: rotate is a fake
    assert.equal(board.get('etcd')?.state, 'verified');
    await pass();
    assert.deepEqual([made.length, verified.length], [1, 2]);
  });

  it('says what is all that runs here once it stands on the board, by the settings that it was looked at with', async (test) => {
    const { surveys, state, deps, pass } = await begin(test);
    const look = deps.look;
    deps.look = async (settings, signal) => {
      assert.deepEqual(surveys, [], 'nobody has looked yet');
      if (state.settings !== undefined) state.settings = { ...state.settings, trustGeneration: 8 }; // too late for this look
      deps.look = look;
      return look(settings, signal);
    };
    if (state.settings !== undefined) state.settings = { ...state.settings, trustGeneration: 7 };
    await pass();
    assert.deepEqual(surveys[0], { trustGeneration: 7, found: ['etcd', 'kube-apiserver'] });
    assert.equal(surveys.at(-1)?.trustGeneration, 8);
  });

  it('does not try an undone change again until an operator resumes, and then once', async (test) => {
    const { made, state, failed, pass } = await begin(test);
    state.outcome = async () => undone;
    assert.deepEqual((await pass()).outcomes[0]?.outcome, undone);
    await pass();
    await pass();
    assert.equal(made.length, 1);
    assert.deepEqual(
      failed.map(({ reason, retryGeneration }) => [reason, retryGeneration]),
      [['nobody trusts it', 1]],
    );
    if (state.settings !== undefined) state.settings = { ...state.settings, retryGeneration: 2 };
    await pass();
    await pass();
    assert.equal(made.length, 2);
    assert.deepEqual(
      failed.map(({ retryGeneration }) => retryGeneration),
      [2],
    );
  });

  it('tries it again on an operator’s word, once a pass, and forgives it when it is kept', async (test) => {
    const { made, state, failed, pass } = await begin(test);
    const well = state.outcome;
    state.outcome = async () => undone;
    await pass();
    await pass(true);
    assert.equal(made.length, 2);
    state.outcome = well;
    await pass(true);
    assert.deepEqual([made.length, failed], [3, []]);
  });

  it('tries a change that differs', async (test) => {
    const { cluster, made, state, pass } = await begin(test);
    state.outcome = async () => undone;
    await pass();
    cluster.settings = { ...cluster.settings, addresses: ['10.77.0.10', '10.77.0.99'] };
    await pass();
    assert.equal(made.length, 2);
  });

  it('comes again to what was not begun in the next pass, not in the same', async (test) => {
    const { made, state, failed, pass } = await begin(test);
    state.outcome = async () => ({ outcome: 'not-begun', reason: 'the server does not answer' });
    await pass();
    assert.deepEqual([made.length, failed], [1, []]);
    await pass();
    assert.equal(made.length, 2);
  });

  it('recovers before it begins, and again after whatever may have left something behind', async (test) => {
    const { state, made, pass } = await begin(test);
    state.outcome = async () => ({ outcome: 'not-begun', reason: 'no' });
    await pass();
    assert.equal(state.recoveries, 2);
    state.outcome = async () => {
      throw new Error('the undo failed');
    };
    assert.equal((await pass()).problem, 'the undo failed');
    assert.equal(state.recoveries, 2);
    state.outcome = async () => undone;
    await pass();
    assert.deepEqual([state.recoveries, made.length], [3, 3]);
    await pass();
    assert.equal(state.recoveries, 3);
  });

  it('begins nothing, and reports nothing new, while a change is neither kept nor undone', async (test) => {
    const { state, made, board, pass } = await begin(test);
    state.recovery = async () => ({ whole: false, judged: [] });
    board.set('etcd', { state: 'failed', reason: 'could not be put back' });
    assert.match((await pass()).problem, /neither kept nor undone/);
    assert.equal(board.get('etcd')?.reason, 'could not be put back');
    assert.deepEqual(made, []);
    state.recovery = async () => ({ whole: true, judged: [] });
    await pass();
    assert.equal(made.length, 1);
  });

  it('takes over the verdict on a change whose undo a recovery ended', async (test) => {
    const { cluster, clock, state, made, failed, board, pass } = await begin(test);
    const fingerprint = (await cluster.plan()).changes[0]?.fingerprint ?? assert.fail('nothing to change');
    state.recovery = async () => ({ whole: true, judged: [{ fingerprint, reason: 'refuses everybody' }] });
    board.set('etcd', { state: 'rolled-back', reason: 'refuses everybody' });
    await pass();
    assert.deepEqual(made, []);
    assert.deepEqual(failed, [
      { fingerprint, reason: 'refuses everybody', retryGeneration: 1, atMs: clock.nowMs(), kind: 'failed' },
    ]);
    assert.equal(board.get('etcd')?.state, 'rolled-back');
  });

  it('only looks in observe mode, and says so to whoever applies', async (test) => {
    const { deps, made, board, state } = await begin(test);
    const reconciler = new Reconciler({ ...deps, mode: 'observe' });
    assert.equal((await reconciler.pass(new AbortController().signal, false)).problem, '');
    assert.match((await reconciler.pass(new AbortController().signal, true)).problem, /only observes/);
    assert.deepEqual(made, []);
    assert.equal(board.get('etcd')?.state, 'detected');
    assert.match(board.get('etcd')?.reason ?? '', /^observing only; would change: /);
    assert.ok(state.remembered > 0); // the command plan reads the settings from disk
  });

  it('begins nothing while the rollout is paused, and says so to whoever applies', async (test) => {
    const { state, made, pass } = await begin(test);
    if (state.settings !== undefined) state.settings = { ...state.settings, rolloutPaused: true };
    assert.equal((await pass()).problem, '');
    assert.match((await pass(true)).problem, /rollout is paused/);
    assert.deepEqual(made, []);
  });

  it('changes the kubelet before an API server that shall verify it, and the API server once', async (test) => {
    const { cluster, made, pass } = await begin(test, async () => {
      const node = await FakeCluster.controlPlane();
      await node.addKubelet({ command: kubeletCommand.replaceAll('w1', 'cp1') });
      node.settings = { ...node.settings, kubeletVerification: 'await-kubelets' };
      return node;
    });
    assert.equal((await pass()).problem, '');
    assert.deepEqual(made, [['kubelet']]);
    assert.match((await pass(true)).problem, /kubelets of all nodes come first/);
    cluster.settings = { ...cluster.settings, kubeletVerification: 'with-restart' };
    await pass();
    assert.deepEqual(made.slice(1), [['etcd', 'kube-apiserver']]);
  });

  it('waits until the server has said what the node is', async (test) => {
    const { state, pass } = await begin(test);
    state.settings = undefined;
    assert.match((await pass()).problem, /has not said yet/);
    assert.equal(state.looks, 0);
  });

  it('verifies again what was degraded, and everything on an operator’s word', async (test) => {
    const { state, verified, reconciler, stop, pass } = await begin(test, FakeCluster.worker);
    state.failVerification = true;
    await pass();
    await pass();
    assert.deepEqual(verified, ['kubelet', 'kubelet']);
    state.failVerification = false;
    await pass();
    await pass();
    assert.equal(verified.length, 3);
    await reconciler.verifyAll(stop.signal);
    assert.equal(verified.length, 4);
  });

  it('does not let what was proved before pass for proved anew', async (test) => {
    const { board, state, deps, reconciler, stop, pass } = await begin(test, FakeCluster.worker);
    await pass();
    assert.equal(board.get('kubelet')?.state, 'verified');
    deps.look = async () => {
      throw new AppError('unavailable', 'the server does not answer');
    };
    const refused = { reason: 'unavailable', message: /not everything was proved anew: the server does not answer/ };
    await assert.rejects(reconciler.verifyAll(stop.signal), refused);
    state.settings = undefined;
    await assert.rejects(reconciler.verifyAll(stop.signal), /has not said yet/);
  });

  it('runs one pass at a time; an operator’s pass waits for the one under way and is another', async (test) => {
    const { state, made, pass } = await begin(test);
    let release: (outcome: RotateOutcome) => void = () => {};
    state.outcome = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const first = pass();
    await until(() => made.length === 1, 'the first change');
    const same = pass();
    const again = pass(true);
    release(undone);
    assert.deepEqual(await same, await first);
    await until(() => made.length === 2, 'the second change');
    release(undone);
    assert.equal((await again).outcomes.length, 1);
  });

  it('tells of a look that fails, and goes on', async (test) => {
    const { deps, state, pass } = await begin(test, FakeCluster.worker);
    const look = deps.look;
    deps.look = async () => {
      throw new Error('the server does not answer');
    };
    assert.equal((await pass()).problem, 'the server does not answer');
    deps.look = look;
    assert.equal((await pass()).problem, '');
    assert.equal(state.looks, 2);
  });

  it('rejects when the signal fires in the middle of a change', async (test) => {
    const { state, stop, pass, failed } = await begin(test);
    state.outcome = async () => {
      stop.abort();
      return stop.signal.throwIfAborted() ?? undone;
    };
    await assert.rejects(pass(), { name: 'AbortError' });
    assert.deepEqual(failed, []);
  });
});

describe('Reconciler, while the server has not decided how far etcd goes', () => {
  async function undecided(test: TestContext) {
    const node = await begin(test, async () => {
      const cluster = await FakeCluster.controlPlane();
      await cluster.addKubelet({ command: kubeletCommand.replaceAll('w1', 'cp1') });
      cluster.settings = { ...cluster.settings, etcdStep: undefined };
      return cluster;
    });
    return node;
  }

  it('leaves etcd and the API server alone and goes on with the others', async (test) => {
    const { cluster, made, pass } = await undecided(test);
    assert.match((await pass()).problem, /not decided yet how far etcd goes/);
    assert.deepEqual(made, [['kubelet']]);
    cluster.settings = { ...cluster.settings, etcdStep: 'enforce' };
    assert.equal((await pass()).problem, '');
    assert.deepEqual(made[1], ['etcd', 'kube-apiserver']);
  });

  it('waits for nothing while no leaf of etcd can be issued', async (test) => {
    const { cluster, deps, pass } = await undecided(test);
    const { look } = deps;
    deps.look = async (...given) => {
      const rotation = new Map([['etcd', { phase: 'trust', issuingPin: '', retiredPem: '' }] as const]);
      return { ...(await look(...given)), rotation };
    };
    assert.equal((await pass()).problem, '');
    assert.equal(cluster.settings.etcdStep, undefined);
  });
});
