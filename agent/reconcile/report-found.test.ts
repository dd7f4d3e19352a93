import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Mode } from '../../common/names/names.ts';
import { FakeCluster } from '../plan/fake-cluster.ts';
import { planNode } from '../plan/plan-node.ts';
import type { FailedChange } from '../report/agent-state.ts';
import { TRUSTING } from '../report/change-report.ts';
import { StatusBoard } from '../report/status-board.ts';
import type { CheckOutcome } from '../verify/checks.ts';
import { reportFound } from './report-found.ts';

/** The worker w1, and a board on which it is reported. */
async function begin(test: TestContext, make = () => FakeCluster.worker()) {
  const cluster = await make();
  test.after(() => cluster.remove());
  const board = new StatusBoard(() => 0);
  const report = async (options: { mode?: Mode; failed?: FailedChange[] } = {}) => {
    const input = await cluster.input();
    const plan = planNode(input);
    reportFound({ board, mode: options.mode ?? 'enforce', failed: options.failed ?? [] }, input, plan);
    return plan;
  };
  return { cluster, board, report };
}

describe('reportFound', () => {
  it('reports what would change, and in observe mode that it will not', async (test) => {
    const { board, report } = await begin(test);
    await report();
    const { state, reason, pendingFiles, unit, endpoints } = board.get('kubelet') ?? assert.fail();
    assert.deepEqual([state, unit], ['pending', 'kubelet.service']);
    assert.match(reason, /missing/);
    assert.ok(pendingFiles.some((path) => path.endsWith('/etc/kube-mtls/pki/kubelet')));
    assert.ok(endpoints.includes('10.77.0.11:10250'));
    await report({ mode: 'observe' });
    assert.equal(board.get('kubelet')?.state, 'detected');
    assert.equal(board.get('kubelet')?.reason, `observing only; would change: ${reason}`);
  });

  it('says that an API server waits for kubelets, and what it would change', async (test) => {
    const { cluster, board, report } = await begin(test, () => FakeCluster.controlPlane());
    cluster.settings = { ...cluster.settings, kubeletVerification: 'await-kubelets' };
    await report();
    const { state, reason } = board.get('kube-apiserver') ?? assert.fail();
    assert.equal(state, 'pending');
    assert.match(reason, /kubelets of all nodes come first.*; --tls-cert-file/);
  });

  for (const state of ['rolled-back', 'failed'] as const) {
    it(`keeps the verdict ${state} as long as the same change would not be tried again`, async (test) => {
      const { board, report } = await begin(test);
      const [change] = (await report()).changes;
      const fingerprint = change?.fingerprint ?? assert.fail('nothing to change');
      board.set('kubelet', { state, reason: 'nobody trusts it' });
      await report({ failed: [{ fingerprint, reason: '', retryGeneration: 0, atMs: 0, kind: 'failed' }] });
      assert.deepEqual([board.get('kubelet')?.state, board.get('kubelet')?.reason], [state, 'nobody trusts it']);
      await report({ failed: [{ fingerprint: 'another', reason: '', retryGeneration: 0, atMs: 0, kind: 'failed' }] });
      assert.equal(board.get('kubelet')?.state, 'pending');
    });
  }

  it('names file and line of what it does not understand, and forgets that once it is mended', async (test) => {
    const { cluster, board, report } = await begin(test);
    await cluster.node.write(
      '/var/lib/kubelet/config.yaml',
      'kind: KubeletConfiguration\nkind: KubeletConfiguration\n',
    );
    await report();
    assert.equal(board.get('kubelet')?.state, 'failed');
    assert.match(board.get('kubelet')?.reason ?? '', /\/var\/lib\/kubelet\/config\.yaml:2: is no YAML/);
    assert.deepEqual(board.get('kubelet')?.pendingFiles, []);
    await cluster.addKubelet();
    await report();
    assert.equal(board.get('kubelet')?.state, 'pending');
  });

  const settled: [before: 'verified' | 'degraded' | 'rolled-back' | 'failed' | 'pending', after: string][] = [
    ['verified', 'verified'],
    ['degraded', 'degraded'],
    ['rolled-back', 'detected'],
    ['failed', 'detected'],
    ['pending', 'detected'],
  ];
  for (const [before, after] of settled) {
    it(`says ${after} where nothing is to do and it said ${before}`, async (test) => {
      const { cluster, board, report } = await begin(test);
      await cluster.apply(await cluster.plan());
      const check: CheckOutcome = { kind: 'unit', result: 'passed', summary: '', evidence: [] };
      board.set('kubelet', { state: before, checks: [check] });
      assert.deepEqual((await report()).changes, []);
      assert.equal(board.get('kubelet')?.state, after);
    });
  }

  it('leaves a prepared etcd pending, and says how far it is', async (test) => {
    const { cluster, board, report } = await begin(test, () => FakeCluster.controlPlane());
    cluster.settings = { ...cluster.settings, etcdStep: 'prepare' };
    const member = (id: string) => {
      return { id, name: id, peerUrls: [`http://10.77.0.1${id}:2380`], clientUrls: ['http://127.0.0.1:2379'] };
    };
    cluster.members = [member('a1'), member('a2')];
    await cluster.apply(await cluster.plan());
    board.set('etcd', { state: 'pending', reason: 'prepared' });
    const plan = await report();
    assert.ok(!plan.changes.some(({ components }) => components.some(({ component }) => component === 'etcd')));
    const { state, etcd } = board.get('etcd') ?? assert.fail();
    assert.equal(state, 'pending');
    assert.deepEqual(etcd, {
      clusterId: 'c1',
      members: ['a1', 'a2'],
      prepared: true,
      enforced: false,
      plaintext: true,
    });
  });

  it('leaves what only trusts for now pending', async (test) => {
    const { cluster, board, report } = await begin(test);
    await cluster.apply(await cluster.plan());
    board.set('kubelet', { state: 'pending', reason: TRUSTING });
    await report();
    assert.deepEqual([board.get('kubelet')?.state, board.get('kubelet')?.reason], ['pending', TRUSTING]);
  });

  it('forgets components that are gone', async (test) => {
    const { board, report } = await begin(test);
    board.set('etcd', { state: 'verified' });
    await report();
    assert.deepEqual(
      board.all().map(({ component }) => component),
      ['kubelet'],
    );
  });
});
