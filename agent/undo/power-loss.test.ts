import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { makeNode } from '../stage/fake-change.ts';
import type { FakeNode } from '../stage/fake-node.ts';
import { assertWhole, ends, type Flow, failing, NEVER, recovery, SCENARIOS } from './crash-for-tests.ts';
import { answerFilesAtOnce, type SyncWatcher } from './files-at-once-for-tests.ts';
import { SyncedFiles } from './synced-files-for-tests.ts';

const watcher: SyncWatcher = {};
answerFilesAtOnce(watcher);
const parent = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kube-mtls-power-'));
after(() => rmSync(parent, { recursive: true }));

/** The steps that a flow passed, each with the number of fsyncs before it. */
type Passed = { name: string; syncs: number }[];

/**
 * Runs a flow until the power is cut, right before one fsync: whatever came after the one before it is lost, but for what other processes
 * did meanwhile.
 *
 * @param at number of that fsync, from 1
 * @param writtenBackAt number of a step, from 1, at which all reaches the disk by chance
 */
async function runUntilCut(
  node: FakeNode,
  flow: Flow,
  at: number,
  writtenBackAt = NEVER,
): Promise<{ syncs: number; passed: Passed }> {
  const disk = new SyncedFiles(node.layout.root);
  const passed: Passed = [];
  const cut = Promise.withResolvers<void>();
  let syncs = 0;
  watcher.syncing = (fd) => {
    if (++syncs < at) return Promise.resolve(disk.note(fd));
    cut.resolve();
    return new Promise(() => {});
  };
  const deps = node.deps(async (name) => {
    passed.push({ name, syncs });
    if (passed.length === writtenBackAt) disk.writeBack();
  });
  await Promise.race([flow(deps, node), cut.promise]);
  watcher.syncing = async () => {};
  disk.losePower();
  return { syncs, passed };
}

/** Everything starts from what is on the disk. */
async function boot(node: FakeNode): Promise<void> {
  await node.reload();
  for (const name of node.units.keys()) await node.start(name);
  await node.kubelet.boot();
}

describe('a change whose node loses its power, and all that was not synced', () => {
  for (const [title, scenario] of Object.entries(SCENARIOS)) {
    const { from, flow, make } = scenario;
    it(`leaves the node fully old or fully new wherever that happens while the change ${title}`, async () => {
      const { old, fresh } = await ends(parent, scenario);
      const { syncs, passed } = await runUntilCut(await make(parent), flow, NEVER);
      const first = passed.find(({ name }) => name === from)?.syncs ?? 1;
      assert.ok(syncs > 50, `${syncs} fsyncs`);
      for (let at = first; at <= syncs + 1; at++) {
        const node = await make(parent);
        const cut = await runUntilCut(node, flow, at);
        if (flow === failing) node.fails = () => false; // one that cannot start with the new files is none to boot with
        await boot(node);
        const [state, tree] = cut.passed.some(({ name }) => name === 'kept')
          ? (['new', fresh] as const)
          : (['old', old] as const);
        const where = `after a cut before fsync ${at} of ${syncs}, after ${cut.passed.at(-1)?.name}`;
        await runUntilCut(node, recovery, NEVER);
        await assertWhole(node, tree, state, where);
      }
    });
    if (make !== makeNode) continue; // those of every kind write in the same ways, and take long
    it(`leaves nothing behind that reached the disk by chance on the way, when the change ${title}`, async () => {
      const { old, fresh } = await ends(parent, scenario);
      const { passed } = await runUntilCut(await make(parent), flow, NEVER);
      const kept = passed.some(({ name }) => name === 'kept');
      const first = passed.findIndex(({ name }) => name === from) + 1;
      for (let step = Math.max(1, first); step <= passed.length; step++) {
        const node = await make(parent);
        await runUntilCut(node, flow, NEVER, step);
        if (flow === failing) node.fails = () => false;
        await boot(node);
        await runUntilCut(node, recovery, NEVER);
        const where = `after all was written back at step ${step}, ${passed[step - 1]?.name}`;
        await assertWhole(node, kept ? fresh : old, kept ? 'new' : 'old', where);
      }
    });
  }
});
