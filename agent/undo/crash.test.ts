import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { applyChange } from '../apply/apply-change.ts';
import { restartLive } from '../restart/restart-live.ts';
import { restartUnits } from '../restart/restart-units.ts';
import { listChanges } from '../stage/change-journal.ts';
import { CHECKPOINTS } from '../stage/checkpoints.ts';
import { fakeSigned, makeChange, makeNode } from '../stage/fake-change.ts';
import { makeMixedChange, makeMixedNode } from '../stage/fake-mixed-change.ts';
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

/** Static pods, units and files without a process change together, and all goes well. */
const mixed: Flow = async (deps, node) => {
  const staged = await stageChange(deps, fakeSigned(await makeMixedChange(node)));
  const applied = await applyChange(deps, staged, { permitId: 'p1' });
  const restarted = await restartUnits(deps, applied);
  assert.ok(restarted.ok);
  await keepChange(deps, restarted.record);
};

/** As before, but those that should take their files up live do not, and are restarted after all. */
const fallback: Flow = async (deps, node) => {
  const staged = await stageChange(deps, fakeSigned(await makeMixedChange(node)));
  const applied = await applyChange(deps, staged, { permitId: 'p1' });
  const restarted = await restartUnits(deps, applied);
  const again = await restartLive(deps, restarted, new Set(['kube-controller-manager', 'kubelet']));
  assert.ok(again.ok);
  await keepChange(deps, again.record);
};

/** As before, but it is of no use either. */
const hopeless: Flow = async (deps, node) => {
  const staged = await stageChange(deps, fakeSigned(await makeMixedChange(node)));
  const applied = await applyChange(deps, staged, { permitId: 'p1' });
  const restarted = await restartUnits(deps, applied);
  const again = await restartLive(deps, restarted, new Set(['kube-controller-manager', 'kubelet']));
  const undone = await undoChange(deps, again.record, 'the old certificates are served still');
  assert.ok(undone.ok);
};

/** A flow, the node that it starts from, and the flow that ends with the files that it has when it is kept. */
interface Scenario {
  /** Steps before the first of that name are those of another scenario. */
  from: string;
  flow: Flow;
  make: (parent: string) => Promise<FakeNode>;
  kept: Flow;
}
const SCENARIOS: Record<string, Scenario> = {
  'of units succeeds': { from: '', flow: happy, make: makeNode, kept: happy },
  'of units is undone': { from: 'unit-restarted', flow: failing, make: makeNode, kept: happy },
  'of every kind of process succeeds': { from: 'verifying', flow: mixed, make: makeMixedNode, kept: mixed },
  'is taken up by a restart after all': { from: '', flow: fallback, make: makeMixedNode, kept: fallback },
  'of every kind of process is undone': { from: 'undoing', flow: hopeless, make: makeMixedNode, kept: fallback },
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
async function ends({ make, kept }: Scenario): Promise<{ old: object; fresh: object }> {
  const node = await make(parent);
  const old = await node.tree();
  await runUntil(node, kept, NEVER);
  return { old, fresh: await node.tree() };
}

async function assertWhole(node: FakeNode, tree: object, state: 'old' | 'new', where: string): Promise<void> {
  await node.kubelet.settle();
  assert.deepEqual(await node.tree(), tree, `files ${where}`);
  assert.deepEqual(node.mismatches, [], where);
  assert.deepEqual(await listChanges(node.layout), { records: [], problems: [] }, where);
  for (const [name, unit] of node.units) {
    assert.equal(unit.activeState, 'active', `${name} ${where}`);
    if (unit.live === true) continue;
    assert.equal(unit.running, await node.configuration(name), `${name} runs what stands on disk ${where}`);
  }
  for (const [name, { container, running, manifest }] of node.kubelet.pods) {
    assert.ok(container, `${name} runs ${where}`);
    const onDisk = await node.podConfiguration(name, manifest);
    if (name === 'kube-controller-manager') assert.ok(running.startsWith(manifest), `${name} ${where}`);
    else assert.equal(running, onDisk, `${name} runs what stands on disk ${where}`);
  }
  const scheme = state === 'old' ? 'http' : 'https';
  assert.deepEqual(node.peerUrls, [`${scheme}://10.0.0.1:2380`], where);
}

describe('a change whose agent dies', () => {
  it('passes every checkpoint that is exported, between the flows of this test', async () => {
    const seen = new Set<string>();
    for (const { flow, make } of Object.values(SCENARIOS)) {
      for (const name of await runUntil(await make(parent), flow, NEVER)) seen.add(name);
    }
    const node = await makeNode(parent);
    await runUntil(node, happy, 3);
    for (const name of await runUntil(node, recovery, NEVER)) seen.add(name);
    assert.deepEqual(
      CHECKPOINTS.filter((name) => !seen.has(name)),
      [],
    );
  });

  for (const [title, scenario] of Object.entries(SCENARIOS)) {
    const { from, flow, make } = scenario;
    // kubelet goes on when the agent dies, and has taken up what it saw before the agent is back, or has not
    for (const isPrompt of make === makeMixedNode ? [true, false] : [true]) {
      const kubelet = isPrompt ? '' : ', with a kubelet that is slow';
      it(`leaves the node fully old or fully new wherever it dies while the change ${title}${kubelet}`, async () => {
        const { old, fresh } = await ends(scenario);
        const steps = await runUntil(await make(parent), flow, NEVER);
        const keptAt = steps.indexOf('kept') + 1 || NEVER;
        assert.ok(steps.length > 25);
        for (let at = Math.max(1, steps.indexOf(from)); at <= steps.length; at++) {
          const where = `after dying at step ${at}, ${steps[at - 1]}`;
          const node = await make(parent);
          await runUntil(node, flow, at);
          assert.deepEqual(await node.mismatchedPairs(), [], where);
          if (isPrompt) await node.kubelet.settle();
          await runUntil(node, recovery, NEVER);
          const state = at < keptAt ? 'old' : 'new';
          await assertWhole(node, state === 'old' ? old : fresh, state, where);
          assert.deepEqual(await recover(node.deps(), new AbortController().signal), [], where);
        }
      });
    }
  }

  const again: [title: string, scenario: Scenario | undefined, deaths: string[]][] = [
    [
      'of units',
      SCENARIOS['of units succeeds'],
      ['before-copied', 'link-switched', 'restart-begun', 'after update-member', 'verifying', 'kept'],
    ],
    ['of every kind of process', SCENARIOS['is taken up by a restart after all'], ['manifest-written', 'verifying']],
  ];
  for (const [title, scenario, deaths] of again) {
    it(`recovers also when the recovery of a change ${title} dies at any of its steps`, async () => {
      assert.ok(scenario);
      const { flow, make } = scenario;
      const { old, fresh } = await ends(scenario);
      const steps = await runUntil(await make(parent), flow, NEVER);
      for (const name of deaths) {
        const at = steps.lastIndexOf(name) + 1;
        assert.ok(at > 0, name);
        for (let again = 1; ; again++) {
          const node = await make(parent);
          await runUntil(node, flow, at);
          await node.kubelet.settle();
          const recovered = await runUntil(node, recovery, again);
          if (recovered.length < again) break;
          await runUntil(node, recovery, NEVER);
          const [state, tree] = name === 'kept' ? (['new', fresh] as const) : (['old', old] as const);
          await assertWhole(node, tree, state, `after dying at ${name} and again at ${recovered.at(-1)}`);
        }
      }
    });
  }

  for (const [title, scenario] of Object.entries(SCENARIOS)) {
    const { from, flow, make } = scenario;
    if (flow === failing) continue; // a unit that cannot start with the new files is none to boot with
    it(`is undone the same after a boot, when everything started from half-switched files: it ${title}`, async () => {
      const { old, fresh } = await ends(scenario);
      const steps = await runUntil(await make(parent), flow, NEVER);
      const keptAt = steps.indexOf('kept') + 1 || NEVER;
      for (let at = Math.max(1, steps.indexOf(from)); at <= steps.length; at++) {
        const node = await make(parent);
        await runUntil(node, flow, at);
        await node.reload();
        for (const name of node.units.keys()) await node.start(name);
        await node.kubelet.boot();
        await runUntil(node, recovery, NEVER);
        const state = at < keptAt ? 'old' : 'new';
        await assertWhole(node, state === 'old' ? old : fresh, state, `after a power cut at ${steps[at - 1]}`);
      }
    });
  }
});

describe('a change that meets an error', () => {
  for (const title of ['of units succeeds', 'is taken up by a restart after all']) {
    it(`is taken back in the same process whatever step fails, of one that ${title}`, async () => {
      const scenario = SCENARIOS[title];
      assert.ok(scenario);
      const { flow, make } = scenario;
      const { old } = await ends(scenario);
      const steps = await runUntil(await make(parent), flow, NEVER);
      for (let at = 1; at <= steps.lastIndexOf('verifying') + 1; at++) {
        const node = await make(parent);
        let count = 0;
        const deps = node.deps(async () => {
          if (++count === at) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        });
        await assert.rejects(flow(deps, node));
        const where = `after an error at step ${at}, ${steps[at - 1]}`;
        const [left] = (await listChanges(node.layout)).records;
        if (at <= steps.indexOf('staged') + 1) assert.equal(left, undefined, `staging cleans up itself ${where}`);
        else if (left !== undefined) await undoChange(deps, left, 'a step failed');
        await recover(deps, new AbortController().signal);
        await assertWhole(node, old, 'old', where);
      }
    });
  }
});
