import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { linkTarget, switchSymlink } from '../../common/files/durable.ts';
import { applyChange } from '../apply/apply-change.ts';
import { componentFolder, currentFile } from '../layout.ts';
import type { Change } from '../plan/change.ts';
import { restartUnits } from '../restart/restart-units.ts';
import { NEVER, recovery, runUntil } from '../undo/crash-for-tests.ts';
import { keepChange } from '../undo/keep-change.ts';
import { undoChange } from '../undo/undo-change.ts';
import { forgetChange } from './change-journal.ts';
import { fakeSigned } from './fake-change.ts';
import { makeMixedChange, makeMixedNode } from './fake-mixed-change.ts';
import type { FakeNode } from './fake-node.ts';
import { FakeWatcher } from './fake-watcher.ts';
import { nudgeWatchers } from './nudge-watchers.ts';
import { stageChange } from './stage-change.ts';
import type { TransactionDeps } from './transaction.ts';
import { currentLink } from './version-folder.ts';

const parent = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kube-mtls-watchers-'));
after(() => rmSync(parent, { recursive: true }));
const watchers: FakeWatcher[] = [];
afterEach(() => {
  for (const watcher of watchers.splice(0)) watcher.close();
});

/** Only what takes its files up live, in a change of its own name. */
async function liveChange(node: FakeNode, changeId: string): Promise<Change> {
  const change = await makeMixedChange(node);
  return { ...change, changeId, components: change.components.filter(({ takeUp }) => takeUp === 'live') };
}

/** Applies a change and takes it for good, or back. */
async function run(deps: TransactionDeps, node: FakeNode, changeId: string, end: 'kept' | 'undone'): Promise<void> {
  const staged = await stageChange(deps, fakeSigned(await liveChange(node, changeId)));
  const applied = await applyChange(deps, staged, { permitId: 'p1' });
  const { record } = await restartUnits(deps, applied);
  if (end === 'kept') await keepChange(deps, record);
  else {
    assert.ok((await undoChange(deps, record, 'the new certificate is not shown')).ok);
    await forgetChange(deps.layout, changeId);
  }
}

/** A node with a version that has every file, and a component that watches them. */
async function watched(): Promise<{ node: FakeNode; watcher: FakeWatcher; folder: string }> {
  const node = await makeMixedNode(parent);
  await run(node.deps(), node, '20250701T000000Z-000000', 'kept');
  return { node, watcher: watcherOn(node), folder: componentFolder(node.layout, 'kubelet') };
}

function watcherOn({ layout }: FakeNode): FakeWatcher {
  const files = ['a.crt', 'a.key', 'client-ca.crt'];
  const watcher = new FakeWatcher(...files.map((name) => currentFile(layout, 'kubelet', name)));
  watchers.push(watcher);
  return watcher;
}

function assertHolds(watcher: FakeWatcher, changeId: string, where: string): void {
  assert.match(watcher.held, new RegExp(`^certificate kubelet a of ${changeId}\n`), where);
  assert.deepEqual(watcher.torn, [], where);
}

/** Files of a version with their inodes. */
function inodes(version: string): string[] {
  return readdirSync(version).map((name) => `${name} ${statSync(join(version, name)).ino}`);
}

describe('a process that watches its files by inotify', () => {
  it('sees each switch of several, and each undo', async () => {
    const { node, watcher } = await watched();
    let at = '20250701T000000Z-000000';
    for (let n = 1; n <= 3; n++) {
      const undone = `20260${n}01T000000Z-bbbbbb`;
      const deps = node.deps(async (name) => {
        if (name !== 'reloaded') return;
        await watcher.upToDate();
        assertHolds(watcher, undone, `after switch ${n}`);
      });
      await run(deps, node, undone, 'undone');
      await watcher.upToDate();
      assertHolds(watcher, at, `after undo ${n}`);
      at = `20260${n}02T000000Z-cccccc`;
      await run(node.deps(), node, at, 'kept');
      await watcher.upToDate();
      assertHolds(watcher, at, `after switch ${n} that was kept`);
    }
  });

  it('sees the way back before its new files go', async () => {
    const { node, watcher } = await watched();
    const deps = node.deps(async (name) => {
      if (name !== 'undo-reloaded') return;
      await watcher.upToDate();
      assertHolds(watcher, '20250701T000000Z-000000', 'with the new version still there');
    });
    await run(deps, node, '20260101T000000Z-1a2b3c', 'undone');
  });

  it('sees what a recovery puts back, and the next switch, wherever the agent died', async () => {
    const { node } = await watched();
    const flow = (deps: TransactionDeps) => run(deps, node, '20260101T000000Z-1a2b3c', 'undone');
    const steps = await runUntil(node, flow, NEVER);
    assert.ok(steps.includes('nudge-linked') && steps.includes('undo-nudge-moved'), steps.join());
    for (let at = steps.indexOf('switching') + 1; at <= steps.length; at++) {
      const where = `after dying at step ${at}, ${steps[at - 1]}`;
      const tree = await node.tree();
      const watcher = watcherOn(node);
      const { held } = watcher;
      await runUntil(node, flow, at);
      await runUntil(node, recovery, NEVER);
      await watcher.upToDate();
      assert.equal(watcher.held, held, where);
      assert.deepEqual(await node.tree(), tree, where);
      const next = `20260201T000000Z-${String(at).padStart(6, '0')}`;
      await run(node.deps(), node, next, 'kept');
      await watcher.upToDate();
      assertHolds(watcher, next, where);
      watcher.close();
    }
  });

  it('sees it also when the recovery dies at any of its steps', async () => {
    const { node } = await watched();
    const flow = (deps: TransactionDeps) => run(deps, node, '20260101T000000Z-1a2b3c', 'kept');
    for (let again = 1; ; again++) {
      const watcher = watcherOn(node);
      const { held } = watcher;
      const first = await runUntil(node, flow, 'nudge-moved');
      assert.equal(first.at(-1), 'nudge-moved');
      const recovered = await runUntil(node, recovery, again);
      await runUntil(node, recovery, NEVER);
      await watcher.upToDate();
      assert.equal(watcher.held, held, `after dying again at ${recovered.at(-1)}`);
      assert.deepEqual(watcher.torn, []);
      watcher.close();
      if (recovered.length < again) break;
    }
  });

  it('sees a switch though it missed the one before', async () => {
    const { node, watcher, folder } = await watched();
    const old = join(folder, (await linkTarget(currentLink(folder))) ?? '');
    const missed = 'v20251231T000000Z-ffffff';
    await promises.cp(old, join(folder, missed), { recursive: true });
    await switchSymlink(currentLink(folder), missed);
    const deps = node.deps(async (name) => {
      if (name !== 'reloaded') return; // later the version that it watches goes
      await watcher.upToDate();
      assertHolds(watcher, '20260101T000000Z-1a2b3c', 'after the second switch');
    });
    await run(deps, node, '20260101T000000Z-1a2b3c', 'kept');
  });

  it('sees nothing of a link that is switched and no more', async () => {
    const { node, watcher, folder } = await watched();
    const bell = join(dirname(folder), 'bell');
    writeFileSync(bell, '');
    const rung = Promise.withResolvers<void>();
    const hearing = watch(bell, () => rung.resolve());
    await promises.cp(join(folder, 'current/'), join(folder, 'v2'), { recursive: true });
    await switchSymlink(currentLink(folder), 'v2');
    writeFileSync(bell, 'events come in their order');
    await rung.promise;
    assert.equal(watcher.isUpToDate, false);
    await nudgeWatchers(node.deps(), folder, 'forward');
    await watcher.upToDate();
    hearing.close();
  });
});

describe('nudgeWatchers', () => {
  it('lets no file be away for a moment, neither behind the link nor in the version before', async () => {
    const { node, watcher, folder } = await watched();
    const before = join(folder, (await linkTarget(currentLink(folder))) ?? '');
    const whole = inodes(before);
    let steps = 0;
    const deps = node.deps(async (name) => {
      steps++;
      const second = readdirSync(before).filter((each) => each.includes('.kube-mtls-'));
      assert.deepEqual(
        inodes(before).filter((each) => !second.includes(each.split(' ')[0] ?? '')),
        whole,
        name,
      );
      assert.ok(second.length <= 1, name);
      assert.equal(statSync(currentFile(node.layout, 'kubelet', 'client-ca.crt')).isFile(), true, name);
      assert.deepEqual(await node.mismatchedPairs(), [], name);
    });
    await run(deps, node, '20260101T000000Z-1a2b3c', 'undone');
    assert.ok(steps > 40, `${steps}`);
    assert.deepEqual(inodes(before), whole);
    assert.deepEqual(watcher.torn, []);
  });

  it('tells nobody of files that the current version does not have, nor when there is none', async () => {
    const { node, watcher, folder } = await watched();
    const names: string[] = [];
    const deps = node.deps(async (name) => void names.push(name));
    writeFileSync(join(folder, 'current', 'more.crt'), '');
    await run(node.deps(), node, '20260101T000000Z-1a2b3c', 'kept');
    await nudgeWatchers(deps, folder, 'forward');
    const [current, last] = [await linkTarget(currentLink(folder)), 'v20250701T000000Z-000000'];
    assert.equal(readdirSync(join(folder, last)).length, readdirSync(join(folder, current ?? '')).length + 1);
    assert.equal(names.filter((name) => name === 'nudge-moved').length, 3);
    watcher.close();
    rmSync(currentLink(folder));
    await nudgeWatchers(deps, folder, 'back');
    await nudgeWatchers(deps, join(folder, 'nowhere'), 'back');
    assert.deepEqual(names.slice(-2), ['undo-nudged', 'undo-nudged']);
  });

  it('logs where a file can have no second name, and lets the change go on', async () => {
    const { node, watcher, folder } = await watched();
    watcher.close();
    const warned: unknown[] = [];
    const deps = node.deps();
    const log = { ...deps.log, warn: (message: string) => void warned.push(message) };
    const { link } = promises;
    const refuse = (code: string) => {
      promises.link = async () => Promise.reject(Object.assign(new Error('refused'), { code }));
      syncBuiltinESMExports();
    };
    try {
      refuse('EPERM');
      await run({ ...deps, log }, node, '20260101T000000Z-1a2b3c', 'kept');
      assert.equal(await linkTarget(currentLink(folder)), 'v20260101T000000Z-1a2b3c');
      assert.deepEqual([...new Set(warned)], ['cannot tell watchers of new files']);
      refuse('EIO');
      await assert.rejects(run(deps, node, '20260201T000000Z-1a2b3c', 'kept'), { code: 'EIO' });
    } finally {
      promises.link = link;
      syncBuiltinESMExports();
    }
    await runUntil(node, recovery, NEVER);
    assert.equal(await linkTarget(currentLink(folder)), 'v20260101T000000Z-1a2b3c');
  });
});
