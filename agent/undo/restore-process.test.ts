import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { type AppliedChange, applyChange } from '../apply/apply-change.ts';
import { restartUnits } from '../restart/restart-units.ts';
import { loadChange } from '../stage/change-journal.ts';
import { fakeSigned } from '../stage/fake-change.ts';
import { makeMixedChange, makeMixedNode, manifestOf } from '../stage/fake-mixed-change.ts';
import type { FakeNode, Step } from '../stage/fake-node.ts';
import { stageChange } from '../stage/stage-change.ts';
import { undoChange } from './undo-change.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-restore-'));
after(() => rmSync(parent, { recursive: true }));

async function applied(): Promise<{ node: FakeNode; old: object; change: AppliedChange }> {
  const node = await makeMixedNode(parent);
  const old = await node.tree();
  const staged = await stageChange(node.deps(), fakeSigned(await makeMixedChange(node)));
  return { node, old, change: await applyChange(node.deps(), staged, { permitId: 'p1' }) };
}

/** The agent fails at the first step of that name for this component, counted from 1. */
async function restartedUntil(step: string, turn = 1) {
  const { node, old, change } = await applied();
  let count = 0;
  const stop: Step = async (name) => {
    if (name === step && ++count === turn) throw new Error('stopped here');
  };
  await assert.rejects(restartUnits(node.deps(stop), change), /stopped here/);
  return { node, old, record: change.record };
}

/** Undoes; how long it took tells by the clock of the node. */
async function undo(node: FakeNode, record: AppliedChange['record'], step?: Step) {
  const beganMs = node.clock.nowMs();
  const undone = await undoChange(node.deps(step), record, 'test');
  return { ...undone, names: undone.units.map(({ unit }) => unit), tookMs: node.clock.nowMs() - beganMs };
}

/** A container of each pod runs with what stands on disk. */
async function assertRunsDisk(node: FakeNode, components: readonly string[]): Promise<void> {
  for (const component of components) {
    const { container, running, manifest } = node.kubelet.pod(component);
    assert.ok(container, component);
    assert.equal(manifest, readFileSync(node.kubelet.manifestPath(component), 'utf8'));
    assert.equal(running, await node.podConfiguration(component, manifest));
  }
}

describe('undoChange, of static pods', () => {
  it('puts manifests back one after another and tells of the new containers', async () => {
    const { node, old, change } = await applied();
    const { record } = await restartUnits(node.deps(), change);
    const order: string[] = [];
    const undone = await undo(node, record, async (name) => {
      if (name !== 'unit-restored') return;
      const isOld = (component: 'etcd' | 'kube-apiserver') =>
        readFileSync(node.kubelet.manifestPath(component), 'utf8') === manifestOf(component);
      order.push(`${isOld('etcd')} ${isOld('kube-apiserver')}`);
    });
    assert.ok(undone.ok);
    assert.deepEqual(undone.names, ['etcd-cp1', 'kube-apiserver-cp1', 'kube-proxy.service']);
    assert.deepEqual(order, ['true false', 'true true', 'true true']);
    for (const [index, component] of ['etcd', 'kube-apiserver'].entries()) {
      assert.equal(undone.units[index]?.invocationId, node.kubelet.pod(component).container?.id);
    }
    assert.deepEqual(await node.tree(), old);
    await assertRunsDisk(node, ['etcd', 'kube-apiserver']);
    assert.ok(undone.tookMs < 10_000, `${undone.tookMs} ms`);
  });

  it('disturbs no pod whose manifest was not written yet', async () => {
    const { node, old, record } = await restartedUntil('restart-begun');
    const { names, tookMs } = await undo(node, record);
    assert.deepEqual([names, tookMs], [[], 0]);
    assert.equal(node.kubelet.pod('etcd').starts, 0);
    assert.deepEqual(await node.tree(), old);
  });

  it('waits 90 s for a kubelet that never saw the manifest', async () => {
    const { node, old, record } = await restartedUntil('manifest-written');
    const before = node.kubelet.pod('etcd').container?.id;
    const { ok, units, names, tookMs } = await undo(node, record);
    assert.ok(ok);
    assert.deepEqual(names, ['etcd-cp1']);
    assert.deepEqual([units[0]?.invocationId, units[0]?.detail.includes('runs as before')], [before, true]);
    assert.equal(tookMs, 90_000);
    assert.deepEqual(await node.tree(), old);
  });

  for (const looks of [1, 2]) {
    it(`waits for the old arguments' container, the new being the same, when kubelet looked ${looks} times`, async () => {
      const { node, old, record } = await restartedUntil('manifest-written', 2);
      for (let look = 0; look < looks; look++) await node.kubelet.sync();
      const { ok, units, tookMs } = await undo(node, record);
      assert.ok(ok);
      assert.equal(units[1]?.invocationId, node.kubelet.pod('kube-apiserver').container?.id);
      await assertRunsDisk(node, ['etcd', 'kube-apiserver']);
      assert.deepEqual(await node.tree(), old);
      assert.ok(tookMs < 10_000, `${tookMs} ms`);
    });
  }

  it('waits for it also when the undo is interrupted after the manifest is back', async () => {
    const { node, record } = await restartedUntil('manifest-written', 2);
    await node.kubelet.settle();
    const marked = node.kubelet.pod('kube-apiserver').container?.id;
    let count = 0;
    const stop: Step = async (name) => {
      if (
        name === 'file-restored' &&
        readFileSync(node.kubelet.manifestPath('kube-apiserver'), 'utf8') === manifestOf('kube-apiserver') &&
        count++ === 0
      )
        throw new Error('stopped here');
    };
    await assert.rejects(undoChange(node.deps(stop), record, 'test'), /stopped here/);
    const { ok, units } = await undo(node, record);
    assert.ok(ok);
    const { invocationId } = units.at(-1) ?? assert.fail();
    assert.notEqual(invocationId, marked);
    assert.equal(invocationId, node.kubelet.pod('kube-apiserver').container?.id);
  });

  it('tells of a pod that does not come back with the old manifest, restores the others and tries again', async () => {
    const { node, old, change } = await applied();
    const { record } = await restartUnits(node.deps(), change);
    node.kubelet.fails = (component) => component === 'etcd';
    const undone = await undo(node, record);
    assert.deepEqual(
      undone.units.map(({ ok }) => ok),
      [false, true, true],
    );
    assert.deepEqual(await node.tree(), old);
    assert.equal((await loadChange(node.layout, record.changeId)).state.name, 'undone');
  });

  it('leaves a manifest that somebody changed before its turn, and restarts what read the new files', async () => {
    const { node, change } = await applied();
    const path = node.kubelet.manifestPath('kube-apiserver');
    const theirs = `${manifestOf('kube-apiserver')}    - --theirs\n`;
    const deps = node.deps(async (name) => {
      if (name === 'manifest-written') writeFileSync(path, theirs);
    });
    await assert.rejects(restartUnits(deps, change), { reason: 'conflict' });
    const read = node.kubelet.pod('kube-apiserver').container?.id;
    const { ok, names, foreign } = await undo(node, change.record);
    assert.ok(ok);
    assert.deepEqual(names, ['etcd-cp1', 'kube-apiserver-cp1']);
    assert.deepEqual(foreign, []);
    assert.equal(readFileSync(path, 'utf8'), theirs);
    assert.notEqual(node.kubelet.pod('kube-apiserver').container?.id, read);
    await assertRunsDisk(node, ['etcd', 'kube-apiserver']);
  });

  it('keeps aside what somebody wrote over the new manifest', async () => {
    const { node, old, change } = await applied();
    const { record } = await restartUnits(node.deps(), change);
    const path = node.kubelet.manifestPath('kube-apiserver');
    appendFileSync(path, '    - --theirs\n');
    const theirs = readFileSync(path, 'utf8');
    await node.kubelet.settle();
    const { ok, foreign } = await undo(node, record);
    assert.ok(ok);
    assert.deepEqual(
      foreign.map(({ path: at, savedAs }) => [at, readFileSync(savedAs, 'utf8')]),
      [[path, theirs]],
    );
    assert.deepEqual(await node.tree(), old);
    await assertRunsDisk(node, ['etcd', 'kube-apiserver']);
  });

  it('brings back a manifest that went away', async () => {
    const { node, old, change } = await applied();
    const { record } = await restartUnits(node.deps(), change);
    rmSync(node.kubelet.manifestPath('etcd'));
    assert.ok((await undo(node, record)).ok);
    assert.deepEqual(await node.tree(), old);
  });

  it('ends a container that started by itself after the switch, since it may have read the new files', async () => {
    const { node, old, change } = await applied();
    await node.kubelet.kill(node.kubelet.pod('kube-apiserver').container?.pid ?? 0);
    await node.kubelet.sync();
    const { ok, names } = await undo(node, change.record);
    assert.ok(ok);
    assert.deepEqual(names, ['kube-apiserver-cp1']);
    await assertRunsDisk(node, ['etcd', 'kube-apiserver']);
    assert.deepEqual(await node.tree(), old);
  });

  it('is not stopped by such a container that ends by itself in the same moment', async () => {
    const { node, old, change } = await applied();
    await node.kubelet.kill(node.kubelet.pod('kube-apiserver').container?.pid ?? 0);
    await node.kubelet.sync();
    const { ok } = await undo(node, change.record, async (name) => {
      const { container } = node.kubelet.pod('kube-apiserver');
      if (name.startsWith('before kill')) await node.kubelet.kill(container?.pid ?? 0);
    });
    assert.ok(ok);
    assert.deepEqual(await node.tree(), old);
    await assertRunsDisk(node, ['kube-apiserver']);
  });

  it('leaves one that reads its files again by itself', async () => {
    const { node, change } = await applied();
    await node.kubelet.kill(node.kubelet.pod('kube-controller-manager').container?.pid ?? 0);
    await node.kubelet.sync();
    await node.start('kubelet.service');
    assert.deepEqual((await undo(node, change.record)).names, []);
  });

  it('removes what a crash left half-written beside a manifest, where kubelet never sees it', async () => {
    const { node, old, change } = await applied();
    const { record } = await restartUnits(node.deps(), change);
    writeFileSync(join(node.kubelet.folder, '.etcd.yaml.kube-mtls-0123456789ab'), 'half');
    await undo(node, record);
    assert.deepEqual(await node.tree(), old);
  });
});

describe('a change of static pods', () => {
  it('shows nothing but whole manifests in their folder, at any step', async () => {
    const { node, change } = await applied();
    const look: Step = async () => {
      const names = readdirSync(node.kubelet.folder);
      assert.deepEqual(names, ['etcd.yaml', 'kube-apiserver.yaml', 'kube-controller-manager.yaml']);
    };
    const { record } = await restartUnits(node.deps(look), change);
    await undoChange(node.deps(look), record, 'test');
  });

  it('is discarded before the switch without a look at its pods', async () => {
    const node = await makeMixedNode(parent);
    const old = await node.tree();
    const { record } = await stageChange(node.deps(), fakeSigned(await makeMixedChange(node)));
    rmSync(join(node.layout.root, 'proc'), { recursive: true });
    const { outcome, units } = await undoChange(node.deps(), record, 'no permit');
    assert.deepEqual([outcome, units], ['discarded', []]);
    assert.deepEqual(await node.tree(), old);
    assert.ok(!existsSync(join(node.layout.changesFolder, record.changeId)));
  });
});
