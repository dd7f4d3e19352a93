import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { applyChange } from '../apply/apply-change.ts';
import { restartUnits } from '../restart/restart-units.ts';
import { listChanges } from '../stage/change-journal.ts';
import { CHECKPOINTS } from '../stage/checkpoints.ts';
import { fakeSigned, makeChange, makeNode } from '../stage/fake-change.ts';
import type { FakeNode, Step } from '../stage/fake-node.ts';
import { stageChange } from '../stage/stage-change.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { keepChange } from './keep-change.ts';
import { recover } from './recover.ts';
import { undoChange } from './undo-change.ts';

const parent = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kube-mtls-crash-'));
after(() => rmSync(parent, { recursive: true }));

type Flow = (deps: TransactionDeps, node: FakeNode) => Promise<void>;

/** All goes well. */
const happy: Flow = async (deps, node) => {
  const staged = await stageChange(deps, fakeSigned(await makeChange(node)));
  const applied = await applyChange(deps, staged, { permitId: 'p1' });
  const restarted = await restartUnits(deps, applied);
  assert.ok(restarted.ok);
  await keepChange(deps, restarted.record);
};

/** The API server does not come back with the new files. */
const failing: Flow = async (deps, node) => {
  node.fails = (unit, configuration) => unit === 'kube-apiserver.service' && configuration.includes('# new');
  const staged = await stageChange(deps, fakeSigned(await makeChange(node)));
  const applied = await applyChange(deps, staged, { permitId: 'p1' });
  const restarted = await restartUnits(deps, applied);
  assert.ok(!restarted.ok);
  const undone = await undoChange(deps, restarted.record, 'the API server did not come back');
  assert.ok(undone.ok);
};

/** Runs a flow and lets the process die at one step: from there on nothing of it ever runs again. */
async function runUntil(node: FakeNode, flow: Flow, at: number): Promise<string[]> {
  const seen: string[] = [];
  const died = Promise.withResolvers<void>();
  const step: Step = (name) => {
    seen.push(name);
    if (seen.length < at) return Promise.resolve();
    died.resolve();
    return new Promise(() => {});
  };
  await Promise.race([flow(node.deps(step), node), died.promise]);
  return seen;
}

const NEVER = Number.POSITIVE_INFINITY;
const recovery: Flow = async (deps) => {
  const results = await recover(deps, new AbortController().signal);
  for (const each of results) assert.ok(each.outcome !== 'unfinished' && each.outcome !== 'unreadable', each.reason);
};

/** The trees that a node may end with. */
async function ends(): Promise<{ old: object; fresh: object }> {
  const node = await makeNode(parent);
  const old = await node.tree();
  await runUntil(node, happy, NEVER);
  return { old, fresh: await node.tree() };
}

async function assertWhole(node: FakeNode, tree: object, state: 'old' | 'new', where: string): Promise<void> {
  assert.deepEqual(await node.tree(), tree, `files ${where}`);
  assert.deepEqual(node.mismatches, [], where);
  assert.deepEqual(await listChanges(node.layout), { records: [], problems: [] }, where);
  for (const [name, unit] of node.units) {
    assert.equal(unit.activeState, 'active', `${name} ${where}`);
    assert.equal(unit.running, await node.configuration(name), `${name} runs what stands on disk ${where}`);
  }
  const scheme = state === 'old' ? 'http' : 'https';
  assert.deepEqual(node.peerUrls, [`${scheme}://10.0.0.1:2380`], where);
}

describe('a change whose agent dies', () => {
  it('passes every checkpoint that is exported, between the flows of this test', async () => {
    const seen = new Set<string>();
    for (const flow of [happy, failing]) {
      for (const name of await runUntil(await makeNode(parent), flow, NEVER)) seen.add(name);
    }
    const node = await makeNode(parent);
    await runUntil(node, happy, 3);
    for (const name of await runUntil(node, recovery, NEVER)) seen.add(name);
    assert.deepEqual(
      CHECKPOINTS.filter((name) => !seen.has(name)),
      [],
    );
  });

  for (const [title, flow] of [
    ['succeeds', happy],
    ['is undone', failing],
  ] as const) {
    it(`leaves the node fully old or fully new wherever it dies while the change ${title}`, async () => {
      const { old, fresh } = await ends();
      const steps = await runUntil(await makeNode(parent), flow, NEVER);
      const keptAt = steps.indexOf('kept') + 1 || NEVER;
      assert.ok(steps.length > 25);
      for (let at = 1; at <= steps.length; at++) {
        const where = `after dying at step ${at}, ${steps[at - 1]}`;
        const node = await makeNode(parent);
        await runUntil(node, flow, at);
        assert.deepEqual(await node.mismatchedPairs(), [], where);
        await runUntil(node, recovery, NEVER);
        const state = at < keptAt ? 'old' : 'new';
        await assertWhole(node, state === 'old' ? old : fresh, state, where);
        assert.deepEqual(await recover(node.deps(), new AbortController().signal), [], where);
      }
    });
  }

  it('recovers also when the recovery dies at any of its steps', async () => {
    const { old, fresh } = await ends();
    const steps = await runUntil(await makeNode(parent), happy, NEVER);
    for (const name of [
      'before-copied',
      'link-switched',
      'restart-begun',
      'after update-member',
      'verifying',
      'kept',
    ]) {
      const at = steps.indexOf(name) + 1;
      assert.ok(at > 0, name);
      for (let again = 1; ; again++) {
        const node = await makeNode(parent);
        await runUntil(node, happy, at);
        const recovered = await runUntil(node, recovery, again);
        if (recovered.length < again) break;
        await runUntil(node, recovery, NEVER);
        const [state, tree] = name === 'kept' ? (['new', fresh] as const) : (['old', old] as const);
        await assertWhole(node, tree, state, `after dying at ${name} and again at ${recovered.at(-1)}`);
      }
    }
  });

  it('is undone the same after a boot, when systemd started every unit from half-switched files', async () => {
    const { old, fresh } = await ends();
    const steps = await runUntil(await makeNode(parent), happy, NEVER);
    const keptAt = steps.indexOf('kept') + 1;
    for (let at = 1; at <= steps.length; at++) {
      const node = await makeNode(parent);
      await runUntil(node, happy, at);
      await node.reload();
      for (const name of node.units.keys()) await node.start(name);
      await runUntil(node, recovery, NEVER);
      const state = at < keptAt ? 'old' : 'new';
      await assertWhole(node, state === 'old' ? old : fresh, state, `after a power cut at ${steps[at - 1]}`);
    }
  });
});

describe('a change that meets an error', () => {
  it('is taken back in the same process whatever step fails', async () => {
    const { old } = await ends();
    const steps = await runUntil(await makeNode(parent), happy, NEVER);
    for (let at = 1; at <= steps.indexOf('verifying') + 1; at++) {
      const node = await makeNode(parent);
      let count = 0;
      const deps = node.deps(async () => {
        if (++count === at) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      });
      await assert.rejects(happy(deps, node));
      const where = `after an error at step ${at}, ${steps[at - 1]}`;
      const [left] = (await listChanges(node.layout)).records;
      if (at <= steps.indexOf('staged') + 1) assert.equal(left, undefined, `staging cleans up itself ${where}`);
      else if (left !== undefined) await undoChange(deps, left, 'a step failed');
      await recover(deps, new AbortController().signal);
      await assertWhole(node, old, 'old', where);
    }
  });
});
