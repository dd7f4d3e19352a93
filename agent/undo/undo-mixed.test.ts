import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { applyChange } from '../apply/apply-change.ts';
import { restartLive } from '../restart/restart-live.ts';
import { restartUnits } from '../restart/restart-units.ts';
import { fakeSigned } from '../stage/fake-change.ts';
import { makeMixedChange, makeMixedNode } from '../stage/fake-mixed-change.ts';
import type { FakeNode } from '../stage/fake-node.ts';
import { stageChange } from '../stage/stage-change.ts';
import { undoChange } from './undo-change.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-undo-'));
after(() => rmSync(parent, { recursive: true }));

async function applied() {
  const node = await makeMixedNode(parent);
  const old = await node.tree();
  const staged = await stageChange(node.deps(), fakeSigned(await makeMixedChange(node)));
  return { node, old, applied: await applyChange(node.deps(), staged, { permitId: 'p1' }) };
}

async function changed() {
  const { node, old, applied: change } = await applied();
  return { node, old, restarted: await restartUnits(node.deps(), change) };
}

const starts = (node: FakeNode) => [...node.kubelet.pods.values(), ...node.units.values()].map((each) => each.starts);

describe('undoChange with static pods and live components', () => {
  it('restarts nothing when no manifest was written and no unit restarted', async () => {
    const { node, old, applied: change } = await applied();
    const { units, ok } = await undoChange(node.deps(), change.record, 'test');
    await node.kubelet.settle();
    assert.deepEqual([units, ok], [[], true]);
    assert.deepEqual(starts(node), [0, 0, 0, 0, 0]);
    assert.deepEqual(await node.tree(), old);
  });

  it('restarts what was restarted after all, and takes its mark out', async () => {
    const { node, old, restarted } = await changed();
    const live = new Set(['kube-controller-manager', 'kubelet'] as const);
    const again = await restartLive(node.deps(), restarted, live);
    assert.equal((await undoChange(node.deps(), again.record, 'test')).units.length, 5);
    assert.deepEqual(starts(node), [2, 2, 2, 2, 2]);
    assert.deepEqual(await node.tree(), old);
  });

  it('restarts a live unit that went down since', async () => {
    const { node, applied: change } = await applied();
    Object.assign(node.unit('kubelet.service'), { activeState: 'failed' });
    const { units } = await undoChange(node.deps(), change.record, 'test');
    assert.deepEqual(
      units.map(({ unit }) => unit),
      ['kubelet.service'],
    );
  });

  it('does nothing the second time', async () => {
    const { node, restarted } = await changed();
    await undoChange(node.deps(), restarted.record, 'first');
    const before = starts(node);
    assert.deepEqual((await undoChange(node.deps(), restarted.record, 'second')).units, []);
    assert.deepEqual(starts(node), before);
  });
});
