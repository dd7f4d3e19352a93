import assert from 'node:assert/strict';
import { chmod, rm } from 'node:fs/promises';
import { describe, it, type TestContext } from 'node:test';
import { lifetimeMs } from '../plan/fake-authorities.ts';
import { FakeCluster } from '../plan/fake-cluster.ts';
import { planNode } from '../plan/plan-node.ts';
import type { KeptFile } from '../report/agent-state.ts';
import { findDrift, inspectKept, rememberFiles } from './drift.ts';

const CONFIG = '/var/lib/kubelet/config.yaml';

/** A worker whose first change was kept, and what is remembered of it. */
async function begin(test: TestContext) {
  const cluster = await FakeCluster.worker();
  test.after(() => cluster.remove());
  const plan = await cluster.plan();
  await cluster.apply(plan);
  const kept: KeptFile[] = [];
  const [change = assert.fail()] = plan.changes;
  await rememberFiles(kept, change);
  const drift = async () => {
    const before = await inspectKept(kept);
    const now = planNode(await cluster.input());
    return { plan: now, paths: [...(await findDrift(kept, now, before)).values()].flat() };
  };
  return { cluster, kept, drift };
}

describe('findDrift', () => {
  it('finds none on a node that is as it was left', async (test) => {
    const { kept, drift } = await begin(test);
    assert.ok(kept.some(({ path }) => path.endsWith(CONFIG)));
    const { plan, paths } = await drift();
    assert.deepEqual([plan.changes, paths], [[], []]);
  });

  it('finds a file that somebody put back as it was, by the change that would write it again', async (test) => {
    const { cluster, drift } = await begin(test);
    await cluster.addKubelet();
    const { plan, paths } = await drift();
    assert.equal(plan.changes.length, 1);
    assert.deepEqual(
      paths.map((path) => path.slice(cluster.node.layout.root.length)).sort(),
      plan.changes
        .flatMap(({ components }) => components.flatMap(({ files }) => files))
        .map(({ path }) => path.slice(cluster.node.layout.root.length))
        .sort(),
    );
  });

  it('finds a file that is gone', async (test) => {
    const cluster = await FakeCluster.controlPlane();
    test.after(() => cluster.remove());
    const plan = await cluster.plan();
    await cluster.apply(plan);
    const kept: KeptFile[] = [];
    for (const change of plan.changes) await rememberFiles(kept, change);
    const gone = kept.find(({ component, path }) => component === 'etcd' && path.endsWith('etcd.env')) ?? assert.fail();
    await rm(gone.path);
    const before = await inspectKept(kept);
    const now = planNode(await cluster.input());
    assert.deepEqual([...(await findDrift(kept, now, before))], [[now.changes[0]?.fingerprint, [gone.path]]]);
  });

  it('is none when the wish has changed, and the file has not', async (test) => {
    const { cluster, kept, drift } = await begin(test);
    for (const file of kept) file.component = 'kubelet';
    cluster.settings = { ...cluster.settings, addresses: ['10.77.0.11', '10.77.0.99'] };
    const { plan, paths } = await drift();
    assert.deepEqual([plan.changes.length, paths], [1, []]);
  });

  it('is none when certificates end: they cannot wait for an operator', async (test) => {
    const { cluster, drift } = await begin(test);
    await cluster.addKubelet();
    cluster.nowMs += lifetimeMs * 0.7;
    const { plan, paths } = await drift();
    assert.deepEqual([plan.changes.length, paths], [1, []]);
  });

  it('finds an edit that came while the node was looked at, in the next look', async (test) => {
    const { cluster, kept, drift } = await begin(test);
    const before = await inspectKept(kept);
    const plan = planNode(await cluster.input());
    await cluster.addKubelet();
    assert.deepEqual([...(await findDrift(kept, plan, before))], []);
    assert.notDeepEqual((await drift()).paths, []);
  });

  it('takes an edit that leaves our settings alone for how the file is now', async (test) => {
    const { cluster, kept, drift } = await begin(test);
    const mark = () => kept.find(({ path }) => path.endsWith(CONFIG));
    const before = mark();
    await chmod(cluster.node.path(CONFIG), 0o640);
    assert.deepEqual((await drift()).paths, []);
    assert.equal(mark()?.mode, 0o640);
    assert.notDeepEqual(mark(), before);
  });
});
