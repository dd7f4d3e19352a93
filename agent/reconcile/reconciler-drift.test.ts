import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { FakeCluster } from '../plan/fake-cluster.ts';
import { Reconciler } from './reconciler.ts';
import { begin } from './reconciler-for-tests.ts';

describe('Reconciler, where somebody else changes files of ours', () => {
  async function reverted(test: TestContext) {
    const node = await begin(test, FakeCluster.worker);
    await node.pass();
    node.made.length = 0;
    await node.cluster.addKubelet(); // as it was before us
    return node;
  }

  it('says so and leaves them alone, whatever time passes', async (test) => {
    const { clock, board, made, failed, pass } = await reverted(test);
    await pass();
    await clock.advance(86_400_000);
    await pass();
    assert.deepEqual([made, failed.length, failed[0]?.kind], [[], 1, 'drift']);
    assert.equal(board.get('kubelet')?.state, 'degraded');
    assert.match(
      board.get('kubelet')?.reason ?? '',
      /^changed by somebody else: .*config\.yaml.*; run "kube-mtls-agent apply"/,
    );
  });

  for (const word of ['apply', 'resume'] as const) {
    it(`puts them back when the operator says ${word}, and brakes the next time again`, async (test) => {
      const { cluster, state, made, failed, pass } = await reverted(test);
      await pass();
      if (word === 'resume' && state.settings !== undefined) state.settings = { ...state.settings, retryGeneration: 2 };
      await pass(word === 'apply');
      assert.deepEqual([made.length, failed], [1, []]);
      await cluster.addKubelet();
      await pass();
      assert.deepEqual([made.length, failed.length], [1, 1]);
    });
  }

  it('forgets it when they are as they should be again', async (test) => {
    const { cluster, board, failed, verified, pass } = await reverted(test);
    await pass();
    verified.length = 0;
    const [change] = (await cluster.plan()).changes;
    await cluster.apply({ changes: change === undefined ? [] : [change], problems: [] });
    await pass();
    assert.deepEqual([failed, verified, board.get('kubelet')?.state], [[], ['kubelet'], 'verified']);
  });

  it('tells where a copy of what it writes over is kept, on an operator’s word', async (test) => {
    const { deps, board, made } = await reverted(test);
    const keepOverwritten: typeof deps.keepOverwritten = async (kept, { components }) =>
      components
        .flatMap(({ files }) => files)
        .filter(({ path }) => kept.some((file) => file.path === path))
        .map(({ path }) => ({ path, savedAs: '/state/overwritten/x' }));
    await new Reconciler({ ...deps, keepOverwritten }).pass(new AbortController().signal, true);
    assert.equal(made.length, 1);
    assert.match(board.get('kubelet')?.reason ?? '', /written over; copy: \/state\/overwritten\/x/);
  });

  it('only says what it would do in observe mode', async (test) => {
    const { deps, board, made } = await reverted(test);
    await new Reconciler({ ...deps, mode: 'observe' }).pass(new AbortController().signal, false);
    assert.deepEqual([made, board.get('kubelet')?.state], [[], 'detected']);
  });
});
