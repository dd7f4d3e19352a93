/** A node, its change and a server, for tests of rotate: tests replace what shall go wrong. */
import assert from 'node:assert/strict';
import { silentLog } from '../common/log/log.ts';
import { FakeLink } from './link/fake-link.ts';
import type { Change, ComponentChange } from './plan/change.ts';
import { fingerprint } from './plan/fingerprint.ts';
import { StatusBoard } from './report/status-board.ts';
import { type RotateDeps, rotate } from './rotate.ts';
import { listChanges } from './stage/change-journal.ts';
import { makeChange, makeNode } from './stage/fake-change.ts';
import type { FakeNode } from './stage/fake-node.ts';
import type { CheckOutcome } from './verify/checks.ts';
import type { Checks, Verdict } from './verify/verifier.ts';

/** A check of that kind with that result. */
export function check(kind: CheckOutcome['kind'], result: CheckOutcome['result'], summary = ''): CheckOutcome {
  return { kind, result, summary, evidence: [] };
}

/** The verdict on a change that went well. */
export const good: Verdict = {
  ok: true,
  reason: '',
  checks: new Map([
    ['etcd', [check('handshake', 'passed')]],
    ['kube-apiserver', [check('handshake', 'passed')]],
  ]),
};
/** The verdict on one that did not. */
export const bad: Verdict = {
  ok: false,
  reason: 'etcd: journal check failed: refuses everybody',
  checks: new Map([['etcd', [check('journal', 'failed', 'refuses everybody')]]]),
};
/** What is found after an undo. */
export const well: Checks = new Map([
  ['etcd', [check('handshake', 'passed', 'serves as before')]],
  ['kube-apiserver', [check('handshake', 'passed', 'serves as before')]],
]);

/**
 * A node before its change, and everything that rotate needs; all goes well unless the test replaces something.
 *
 * @param parent - folder for the files of the node, to be removed by the test
 * @param link - whose CAs sign
 * @param alter - what is other in the components of the change
 */
export async function begin(
  parent: string,
  link: FakeLink,
  alter: (component: ComponentChange) => Partial<ComponentChange> = () => ({}),
) {
  const node = await makeNode(parent);
  const made = await makeChange(node);
  const planned = { ...made, components: made.components.map((each) => ({ ...each, ...alter(each) })) };
  const change: Change = { ...planned, fingerprint: fingerprint(planned.components, link.bundles) };
  const fake = new FakeLink(link.signers);
  const board = new StatusBoard(() => node.clock.nowMs());
  const stop = new AbortController();
  const held: string[] = [];
  const states: string[] = [];
  board.listen(({ component, state }) => component === 'etcd' && states.push(state));
  const deps: RotateDeps = {
    link: fake,
    clock: node.clock,
    log: silentLog,
    transaction: node.deps(),
    board,
    verifier: { remember: async () => ({ components: [] }), verify: async () => good, verifyBefore: async () => well },
    keyAlgorithm: 'ecdsa-p256',
    membersDown: async () => undefined,
    changedSince: async () => undefined,
    holdPermit: (permitId) => held.push(permitId),
    remember: async () => {},
    noteFailed: async () => {},
  };
  const old = await node.tree();
  return {
    node,
    change,
    fake,
    board,
    stop,
    held,
    states,
    deps,
    old,
    run: () => rotate(deps, change, () => undefined, stop.signal),
  };
}

/** The tree is that of before, and no journal of a change is left. */
export async function assertUntouched(node: FakeNode, old: Record<string, string>): Promise<void> {
  assert.deepEqual(await node.tree(), old);
  assert.deepEqual(await listChanges(node.layout), { records: [], problems: [] });
}
