import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { type AppliedChange, applyChange } from '../apply/apply-change.ts';
import { loadChange } from '../stage/change-journal.ts';
import { fakeSigned } from '../stage/fake-change.ts';
import { makeMixedChange, makeMixedNode, manifestOf } from '../stage/fake-mixed-change.ts';
import type { FakeNode } from '../stage/fake-node.ts';
import { stageChange } from '../stage/stage-change.ts';
import { restartUnits } from './restart-units.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-restart-'));
after(() => rmSync(parent, { recursive: true }));

async function apply(node: FakeNode): Promise<AppliedChange> {
  const staged = await stageChange(node.deps(), fakeSigned(await makeMixedChange(node)));
  return applyChange(node.deps(), staged, { permitId: 'p1' });
}

describe('restartUnits with static pods and live components', () => {
  it('tells the cluster the new peer URLs, and journals the restart, before the manifest is written', async () => {
    const node = await makeMixedNode(parent);
    const applied = await apply(node);
    const steps: string[] = [];
    const deps = node.deps(async (name) => {
      if (name === 'restart-begun' || name === 'after update-member' || name === 'manifest-written') steps.push(name);
      if (name === 'restart-begun' && steps.length === 1) {
        const [etcd] = (await loadChange(node.layout, applied.record.changeId)).components;
        assert.deepEqual([etcd?.restartBegun, etcd?.memberUpdateBegun], [true, true]);
        assert.equal(readFileSync(node.kubelet.manifestPath('etcd'), 'utf8'), manifestOf('etcd'));
      }
    });
    await restartUnits(deps, applied);
    assert.deepEqual(steps.slice(0, 3), ['restart-begun', 'after update-member', 'manifest-written']);
  });

  it('leaves a live unit alone that is stopped and disabled', async () => {
    const node = await makeMixedNode(parent);
    Object.assign(node.unit('kubelet.service'), { activeState: 'inactive', unitFileState: 'disabled' });
    const { leftStopped } = await restartUnits(node.deps(), await apply(node));
    assert.deepEqual(leftStopped, ['kubelet.service']);
    assert.equal(node.unit('kubelet.service').starts, 0);
  });
});
