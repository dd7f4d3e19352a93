import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { makeNode } from '../stage/fake-change.ts';
import type { FakeNode } from '../stage/fake-node.ts';
import { assertWhole, ends, type Flow, failing, recovery, SCENARIOS } from './crash-for-tests.ts';
import { onCopy, withPauses } from './die-at-each-step-for-tests.ts';
import { answerFilesAtOnce, type SyncWatcher } from './files-at-once-for-tests.ts';
import { SyncedFiles } from './synced-files-for-tests.ts';

const watcher: SyncWatcher = {};
answerFilesAtOnce(watcher);
const parent = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kube-mtls-power-'));
after(() => rmSync(parent, { recursive: true }));

/** The steps that a flow passed, each with the number of fsyncs before it. */
type Passed = { name: string; syncs: number }[];

/** What is told of a flow on its way. */
interface Told {
  /** Right before each fsync, counted from 1. */
  beforeSync?: (at: number, disk: SyncedFiles, passed: Passed) => Promise<void>;
  /** At each step. Another disk that comes back is told of all fsyncs from then on. */
  atStep?: (disk: SyncedFiles, passed: Passed) => SyncedFiles | undefined;
}

/**
 * Runs a flow to its end.
 *
 * @returns what is synced then, and what it did
 */
async function follow(node: FakeNode, flow: Flow, { beforeSync, atStep }: Told = {}) {
  const disk = new SyncedFiles(node.layout.root);
  const disks = [disk];
  const passed: Passed = [];
  let syncs = 0;
  const { syncing } = watcher;
  try {
    await withPauses(async (pause) => {
      watcher.syncing = async (fd) => {
        const at = ++syncs;
        if (beforeSync !== undefined) await pause(() => beforeSync(at, disk, passed));
        for (const each of disks) each.note(fd);
      };
      const deps = node.deps(async (name) => {
        passed.push({ name, syncs });
        const other = atStep?.(disk, passed);
        if (other !== undefined) disks.push(other);
      });
      await flow(deps, node);
    });
  } finally {
    watcher.syncing = syncing;
  }
  return { disk, passed, syncs };
}

/** The power is cut, and everything starts from what is on the disk. What the recovery does not sync is lost in a second cut. */
async function assertRecovers(
  node: FakeNode,
  disk: SyncedFiles,
  flow: Flow,
  tree: object,
  state: 'old' | 'new',
  where: string,
): Promise<void> {
  await onCopy(node, disk.restoreTo, async (left) => {
    if (flow === failing) left.fails = () => false; // one that cannot start with the new files is none to boot with
    await left.reload();
    for (const name of left.units.keys()) await left.start(name);
    await left.kubelet.boot();
    const recovered = await follow(left, recovery);
    await onCopy(left, recovered.disk.restoreTo, (end) => assertWhole(end, tree, state, where));
  });
}

const isKept = (passed: Passed) => passed.some(({ name }) => name === 'kept');

describe('a change whose node loses its power, and all that was not synced', () => {
  for (const [title, scenario] of Object.entries(SCENARIOS)) {
    const { from, flow, make } = scenario;
    it(`leaves the node fully old or fully new wherever that happens while the change ${title}`, async () => {
      const { old, fresh } = await ends(parent, scenario);
      const { syncs, passed } = await follow(await make(parent), flow);
      const first = passed.find(({ name }) => name === from)?.syncs ?? 1;
      assert.ok(syncs > 50, `${syncs} fsyncs`);
      const node = await make(parent);
      const cut = (at: number, disk: SyncedFiles, before: Passed) => {
        const where = `after a cut before fsync ${at} of ${syncs}, after ${before.at(-1)?.name}`;
        const [state, tree] = isKept(before) ? (['new', fresh] as const) : (['old', old] as const);
        return assertRecovers(node, disk, flow, tree, state, where);
      };
      const beforeSync = async (at: number, disk: SyncedFiles, before: Passed) => {
        if (at >= first) await cut(at, disk, before);
      };
      const whole = await follow(node, flow, { beforeSync });
      assert.deepEqual(whole.passed, passed);
      await cut(syncs + 1, whole.disk, passed);
    });
    if (make !== makeNode) continue; // those of every kind write in the same ways, and take long
    it(`leaves nothing behind that reached the disk by chance on the way, when the change ${title}`, async () => {
      const { old, fresh } = await ends(parent, scenario);
      const { passed } = await follow(await make(parent), flow);
      const [state, tree] = isKept(passed) ? (['new', fresh] as const) : (['old', old] as const);
      const first = passed.findIndex(({ name }) => name === from) + 1;
      const node = await make(parent);
      const writtenBack = new Map<string, SyncedFiles>();
      await follow(node, flow, {
        atStep: (disk, { length }) => {
          if (length < first) return undefined;
          const other = new SyncedFiles(node.layout.root, disk);
          other.writeBack();
          writtenBack.set(`after all was written back at step ${length}, ${passed[length - 1]?.name}`, other);
          return other;
        },
      });
      assert.equal(writtenBack.size, passed.length + 1 - Math.max(1, first));
      for (const [where, disk] of writtenBack) await assertRecovers(node, disk, flow, tree, state, where);
    });
  }
});
