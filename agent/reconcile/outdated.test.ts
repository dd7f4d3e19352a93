import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { lifetimeMs } from '../plan/fake-authorities.ts';
import { FakeCluster } from '../plan/fake-cluster.ts';
import { kubeletCommand } from '../plan/fake-parts.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { planNode } from '../plan/plan-node.ts';
import type { AgentSettings } from '../report/agent-state.ts';
import { watchOutdated } from './outdated.ts';

/** A control plane whose etcd waits for its permit, beside a kubelet with certificates of ours. */
async function begin(test: TestContext, kubeletVersion = '1.31.2') {
  const cluster = await FakeCluster.controlPlane();
  test.after(() => cluster.remove());
  await cluster.addKubelet({ command: kubeletCommand.replaceAll('w1', 'cp1') });
  const stdout = `Kubernetes v${kubeletVersion}`;
  cluster.node.answers.set('/opt/bin/kubelet --version', { code: 0, stdout, stderr: '' });
  const plan = await cluster.plan();
  await cluster.apply({ ...plan, changes: plan.changes.filter(({ components }) => components.length === 1) });
  const input = await cluster.input();
  const [change = assert.fail()] = planNode(input).changes;
  const settings = {
    generation: 1,
    heartbeatMs: 1,
    node: input.settings,
    rolloutPaused: false,
    retryGeneration: 1,
    trustGeneration: 0,
  };
  const watch = watchOutdated(change, input);
  const why = (next: Partial<AgentSettings> = {}, afterMs = 0, mode: 'enforce' | 'observe' = 'enforce', stepMs = 0) =>
    watch({
      settings: { ...settings, ...next },
      mode,
      nowMs: input.nowMs + afterMs + stepMs,
      monotonicMs: afterMs,
    });
  return { input, change, watch, why };
}

describe('watchOutdated', () => {
  it('finds nothing wrong while nothing changes, or what changes is no matter of the plan', async (test) => {
    const { change, watch, why } = await begin(test);
    assert.deepEqual(
      change.components.map(({ component }) => component),
      ['etcd', 'kube-apiserver'],
    );
    assert.equal(why(), undefined);
    assert.equal(why({ generation: 9, heartbeatMs: 5 }), undefined);
    assert.equal(watch({ settings: undefined, mode: 'enforce', nowMs: 0, monotonicMs: 0 }), undefined);
  });

  it('tells that other settings make another plan', async (test) => {
    const { input, why } = await begin(test);
    assert.match(
      why({ node: { ...input.settings, addresses: ['10.77.0.99'] } }) ?? '',
      /settings of the server changed/,
    );
  });

  it('tells that the change may not be made any more', async (test) => {
    const { why } = await begin(test);
    assert.match(why({ rolloutPaused: true }) ?? '', /rollout is paused/);
    assert.match(why({}, 0, 'observe') ?? '', /only observes/);
  });

  it('lets a renewal go first that needs no restart, and no other', async (test) => {
    const live = await begin(test);
    assert.match(live.why({}, lifetimeMs * 0.7) ?? '', /certificates of kubelet are due meanwhile/);
    const restarting = await begin(test, '1.20.2');
    assert.equal(restarting.why({}, lifetimeMs * 0.7), undefined);
  });

  it('plans again when half a minute has passed, or other settings came, and not at each wish', async (test) => {
    const { input, why } = await begin(test);
    const looks = countReads(input);
    for (const afterMs of [0, 2_000, 29_999]) assert.equal(why({}, afterMs), undefined);
    const once = looks();
    assert.equal(why({}, 1), undefined);
    assert.equal(looks(), once);
    assert.equal(why({}, 30_000), undefined);
    const twice = looks();
    assert.ok(twice > once, `${twice} > ${once}`);
    assert.match(why({ node: { ...input.settings, addresses: ['10.77.0.99'] } }, 30_001) ?? '', /settings/);
    assert.equal(why({ rolloutPaused: false }, 30_002), undefined); // the old settings came back
  });

  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`plans again after that half a minute when the wall clock is set by ${stepMs} ms`, async (test) => {
      const { input, why } = await begin(test);
      const looks = countReads(input);
      why();
      const once = looks();
      why({}, 29_999, 'enforce', stepMs);
      assert.equal(looks(), once);
      why({}, 30_000, 'enforce', stepMs);
      assert.ok(looks() > once);
    });
  }
});

/** Counts how often plans ask for what was detected. */
function countReads(input: PlanInput): () => number {
  const { detected } = input;
  let reads = 0;
  const get = () => {
    reads++;
    return detected;
  };
  Object.defineProperty(input, 'detected', { enumerable: true, get });
  return () => reads;
}
