/** The ways of a change that the crash tests walk, step by step, and what a node has to be like after them. */
import assert from 'node:assert/strict';
import { applyChange } from '../apply/apply-change.ts';
import { restartLive } from '../restart/restart-live.ts';
import { restartUnits } from '../restart/restart-units.ts';
import { listChanges } from '../stage/change-journal.ts';
import { fakeSigned, makeChange, makeNode } from '../stage/fake-change.ts';
import { makeMixedChange, makeMixedNode } from '../stage/fake-mixed-change.ts';
import type { FakeNode, Step } from '../stage/fake-node.ts';
import { stageChange } from '../stage/stage-change.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { keepChange } from './keep-change.ts';
import { recover } from './recover.ts';
import { undoChange } from './undo-change.ts';

/** A way of a change in one process of the agent. */
export type Flow = (deps: TransactionDeps, node: FakeNode) => Promise<void>;

/** All goes well. */
export const happy: Flow = async (deps, node) => {
  const staged = await stageChange(deps, fakeSigned(await makeChange(node)));
  const applied = await applyChange(deps, staged, { permitId: 'p1' });
  const restarted = await restartUnits(deps, applied);
  assert.ok(restarted.ok);
  await keepChange(deps, restarted.record);
};

/** The API server does not come back with the new files. */
export const failing: Flow = async (deps, node) => {
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
export interface Scenario {
  /** Steps before the first of that name are those of another scenario. */
  from: string;
  flow: Flow;
  make: (parent: string) => Promise<FakeNode>;
  kept: Flow;
}
/** By how a sentence on the change ends. */
export const SCENARIOS: Record<string, Scenario> = {
  'of units succeeds': { from: '', flow: happy, make: makeNode, kept: happy },
  'of units is undone': { from: 'unit-restarted', flow: failing, make: makeNode, kept: happy },
  'of every kind of process succeeds': { from: 'verifying', flow: mixed, make: makeMixedNode, kept: mixed },
  'is taken up by a restart after all': { from: '', flow: fallback, make: makeMixedNode, kept: fallback },
  'of every kind of process is undone': { from: 'undoing', flow: hopeless, make: makeMixedNode, kept: fallback },
};

/**
 * Runs a flow and lets the process die at one step: from there on nothing of it ever runs again.
 *
 * @param at number of the step, or name of the first such step
 */
export async function runUntil(node: FakeNode, flow: Flow, at: number | string): Promise<string[]> {
  const seen: string[] = [];
  const died = Promise.withResolvers<void>();
  const step: Step = (name) => {
    seen.push(name);
    if (typeof at === 'string' ? name !== at : seen.length < at) return Promise.resolve();
    died.resolve();
    return new Promise(() => {});
  };
  await Promise.race([flow(node.deps(step), node), died.promise]);
  return seen;
}

/** For {@link runUntil}: the process lives on. */
export const NEVER = Number.POSITIVE_INFINITY;
/** The next process of the agent. */
export const recovery: Flow = async (deps) => {
  const results = await recover(deps, new AbortController().signal);
  for (const each of results) assert.ok(each.outcome !== 'unfinished' && each.outcome !== 'unreadable', each.reason);
};

/** The trees that a node may end with. */
export async function ends(parent: string, { make, kept }: Scenario): Promise<{ old: object; fresh: object }> {
  const node = await make(parent);
  const old = await node.tree();
  await runUntil(node, kept, NEVER);
  return { old, fresh: await node.tree() };
}

/** Checks that the node is fully old or fully new, on disk and in what runs, and that no journal is left. */
export async function assertWhole(node: FakeNode, tree: object, state: 'old' | 'new', where: string): Promise<void> {
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
