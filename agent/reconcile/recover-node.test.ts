import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { silentLog } from '../../common/log/log.ts';
import { applyChange } from '../apply/apply-change.ts';
import { FakeLink } from '../link/fake-link.ts';
import { StatusBoard } from '../report/status-board.ts';
import { restartUnits } from '../restart/restart-units.ts';
import { changeFolder, listChanges } from '../stage/change-journal.ts';
import type { Checkpoint } from '../stage/checkpoints.ts';
import { fakeSigned, makeChange, makeNode } from '../stage/fake-change.ts';
import type { FakeNode } from '../stage/fake-node.ts';
import { stageChange } from '../stage/stage-change.ts';
import { keepChange } from '../undo/keep-change.ts';
import { undoChange } from '../undo/undo-change.ts';
import { recoverNode } from './recover-node.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-recover-'));
after(() => rmSync(parent, { recursive: true }));

class Killed extends Error {}

/** A node whose agent died at a checkpoint, on the way forward and, when asked, on the way back. */
async function dieAt(at: Checkpoint, thenUndo = false) {
  const node = await makeNode(parent);
  const old = await node.tree();
  const deps = node.deps(async (name) => {
    if (name === at) throw new Killed();
  });
  const change = await makeChange(node);
  try {
    const staged = await stageChange(deps, fakeSigned(change));
    const applied = await applyChange(deps, staged, { permitId: 'p1' });
    await restartUnits(deps, applied);
    if (thenUndo) await undoChange(deps, change, 'refuses everybody');
    else await keepChange(deps, change);
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
  }
  return { node, old, change, ...lifeAfter(node) };
}

/** The next life of the agent. */
function lifeAfter(node: FakeNode) {
  const board = new StatusBoard(() => node.clock.nowMs());
  const link = new FakeLink(new Map());
  const stop = new AbortController();
  /** Verdicts that were written, and whether the journal was there still. */
  const noted: [fingerprint: string, reason: string, journals: number][] = [];
  const noteFailed = async ({ fingerprint }: { fingerprint: string }, reason: string) => {
    noted.push([fingerprint, reason, (await listChanges(node.layout)).records.length]);
  };
  const deps = { board, link, log: silentLog, clock: node.clock, noteFailed };
  const recover = () => recoverNode({ transaction: node.deps(), ...deps }, stop.signal);
  return { board, link, recover, noted };
}

describe('recoverNode', () => {
  it('does nothing on a node that is whole', async () => {
    const { board, link, recover } = lifeAfter(await makeNode(parent));
    assert.deepEqual(await recover(), { whole: true, judged: [] });
    assert.deepEqual([board.all(), link.asked], [[], []]);
  });

  it('undoes what was interrupted, gives back the permit, and gives no verdict: it is tried again', async () => {
    const { node, old, board, link, recover, noted } = await dieAt('unit-restarted');
    assert.deepEqual(await recover(), { whole: true, judged: [] });
    assert.deepEqual(noted, []);
    assert.deepEqual(await node.tree(), old);
    assert.deepEqual(link.asked, ['release p1']);
    assert.deepEqual([board.get('etcd')?.state, board.get('etcd')?.restarts], ['detected', 1]);
    assert.match(board.get('etcd')?.reason ?? '', /agent was stopped while the change was restarting/);
  });

  for (const at of ['undoing', 'unit-restored', 'undone'] as const) {
    it(`hands on the verdict when the agent died in the undo, at ${at}`, async () => {
      const { node, old, change, board, recover, noted } = await dieAt(at, true);
      const judged = [{ fingerprint: change.fingerprint, reason: 'refuses everybody' }];
      assert.deepEqual(await recover(), { whole: true, judged });
      // on disk before the journal goes, or a crash in between would make the change once more
      assert.deepEqual(noted, [[change.fingerprint, 'refuses everybody', 1]]);
      assert.deepEqual(await node.tree(), old);
      assert.deepEqual([board.get('etcd')?.state, board.get('etcd')?.reason], ['rolled-back', 'refuses everybody']);
    });
  }

  it('says so when the agent died after an undo that did not bring the unit back', async () => {
    const { node, board, recover } = await dieAt('undone', true);
    Object.assign(node.unit('etcd.service'), {
      activeState: 'activating',
      subState: 'auto-restart',
      result: 'exit-code',
    });
    assert.equal((await recover()).whole, true);
    assert.equal(board.get('etcd')?.state, 'failed');
    assert.match(board.get('etcd')?.reason ?? '', /^refuses everybody; etcd\.service is activating/);
  });

  it('discards what was only staged, without a permit to give back', async () => {
    const node = await makeNode(parent);
    const old = await node.tree();
    const { board, link, recover } = lifeAfter(node);
    await stageChange(node.deps(), fakeSigned(await makeChange(node)));
    assert.deepEqual(await recover(), { whole: true, judged: [] });
    assert.deepEqual(await node.tree(), old);
    assert.deepEqual([board.get('etcd')?.state, link.asked], ['detected', []]);
  });

  it('finishes what was kept', async () => {
    const { board, recover } = await dieAt('kept');
    assert.deepEqual(await recover(), { whole: true, judged: [] });
    assert.equal(board.get('etcd')?.state, 'detected'); // verified anew by the pass that follows
  });

  it('is not whole while the undo fails, says so, and ends it the next time', async () => {
    const { node, old, board, recover } = await dieAt('verifying');
    node.clusterDown = true;
    assert.equal((await recover()).whole, false);
    assert.equal(board.get('etcd')?.state, 'failed');
    assert.match(board.get('etcd')?.reason ?? '', /could not be put back: .*does not answer/);
    node.clusterDown = false;
    // an undo that took two lives is no verdict either: nothing was wrong with the change
    assert.deepEqual(await recover(), { whole: true, judged: [] });
    assert.deepEqual([await node.tree(), board.get('etcd')?.state], [old, 'detected']);
  });

  it('is not whole while a journal cannot be read', async () => {
    const node = await makeNode(parent);
    const { recover } = lifeAfter(node);
    const folder = changeFolder(node.layout, '20260101T000000Z-ffffff');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'change.json'), '{');
    assert.deepEqual(await recover(), { whole: false, judged: [] });
    rmSync(folder, { recursive: true });
    assert.equal((await recover()).whole, true);
  });
});
