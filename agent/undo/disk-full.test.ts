import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { applyChange } from '../apply/apply-change.ts';
import { restartUnits } from '../restart/restart-units.ts';
import { listChanges } from '../stage/change-journal.ts';
import { fakeSigned, makeChange, makeNode } from '../stage/fake-change.ts';
import { stageChange } from '../stage/stage-change.ts';
import { undoChange } from './undo-change.ts';

/** A file system of its own, as small as the test wants it. */
const disk = mkdtempSync(join(tmpdir(), 'kube-mtls-disk-'));
const mounted = mount('size=2m');
after(() => {
  if (mounted) spawnSync('umount', ['-l', disk]);
  rmdirSync(disk);
});

function mount(options: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', disk]).status === 0;
}

/** Writes until nothing fits any more. */
function fill(): string {
  const path = join(disk, 'filler');
  for (let at = 0; ; at++) {
    try {
      writeFileSync(path, Buffer.alloc(4096), { flag: 'a' });
    } catch {
      assert.ok(at < 1000);
      return path;
    }
  }
}

describe('a full disk', { skip: mounted ? false : 'this test may not mount a tmpfs' }, () => {
  it('leaves nothing staged, however far the staging came', async () => {
    let stagedAtLeastOnce = false;
    let refusals = 0;
    for (let kib = 64; !stagedAtLeastOnce; kib += kib < 280 ? 72 : 4) {
      const resize = (size: string) => spawnSync('mount', ['-o', `remount,size=${size}`, disk]);
      resize('2m');
      const node = await makeNode(disk);
      const signed = fakeSigned(await makeChange(node));
      const before = await node.tree();
      assert.equal(resize(`${kib}k`).status, 0);
      try {
        await stageChange(node.deps(), signed);
        stagedAtLeastOnce = true;
      } catch (error) {
        assert.ok(error instanceof AppError && error.reason === 'unavailable');
        assert.match(String(error), /the disk refuses new certificates/);
        refusals++;
        assert.deepEqual(await node.tree(), before, `with ${kib} KiB`);
        assert.deepEqual(await listChanges(node.layout), { records: [], problems: [] });
      }
      rmSync(node.layout.root, { recursive: true });
    }
    assert.ok(refusals > 10);
    spawnSync('mount', ['-o', 'remount,size=2m', disk]);
  });

  it('lets a change be undone though nothing fits any more', async () => {
    const node = await makeNode(disk);
    const old = await node.tree();
    const staged = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
    const applied = await applyChange(node.deps(), staged, { permitId: 'p1' });
    const filler = fill();
    await assert.rejects(restartUnits(node.deps(), applied), { code: 'ENOSPC' });
    const undone = await undoChange(node.deps(), applied.record, 'the disk is full');
    rmSync(filler);
    assert.ok(undone.ok);
    assert.deepEqual(await node.tree(), old);
  });
});
