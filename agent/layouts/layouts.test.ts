import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Authority } from '../../common/names/names.ts';
import { seeded } from '../../common/random/random-for-tests.ts';
import type { Signer } from '../../common/x509/sign.ts';
import type { NodePlan } from '../plan/change.ts';
import { makeAuthority } from '../plan/fake-authorities.ts';
import { planNode } from '../plan/plan-node.ts';
import { renderPlan } from '../plan/render-diff.ts';
import { answerFilesAtOnce } from '../undo/files-at-once-for-tests.ts';
import { recover } from '../undo/recover.ts';
import { asInFixture, type LayoutNode, loadLayout, makeLayoutNode } from './layout-for-tests.ts';
import { doAndUndo, hostOf, runUntil, sign } from './transaction-for-tests.ts';

answerFilesAtOnce();
const fixtures = join(import.meta.dirname, 'fixtures');
const layouts = readdirSync(fixtures).sort();
const todos = new Map(
  await Promise.all(
    layouts.map(async (name) => [name, (await loadLayout(join(fixtures, name))).todo ?? false] as const),
  ),
);
const parent = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kube-mtls-layouts-'));
after(() => rmSync(parent, { recursive: true }));

const signers = new Map<Authority, Signer>();
before(async () => {
  for (const authority of ['kubernetes', 'etcd', 'front-proxy'] as const) {
    signers.set(authority, await makeAuthority(authority));
  }
});

/** Runs on a new host with the layout. */
async function on(name: string, test: (node: LayoutNode) => Promise<void>): Promise<void> {
  const node = await makeLayoutNode(join(fixtures, name), parent, signers);
  await test(node);
  await node.cluster.remove();
}

/** Paths whose entries differ: the trees themselves are too much to read. */
function differing(tree: Record<string, string>, other: Record<string, string>): string[] {
  return [...new Set([...Object.keys(tree), ...Object.keys(other)])].filter((path) => tree[path] !== other[path]);
}

/** A layout whose every component is left alone has its problems in another file. */
function expectedFile(name: string, { changes }: NodePlan): string {
  return join(fixtures, name, changes.length === 0 ? 'expected.problem' : 'expected.diff');
}

async function assertExpected(name: string, plan: NodePlan, node: LayoutNode): Promise<void> {
  const text = asInFixture(renderPlan(plan), node);
  const path = expectedFile(name, plan);
  if (process.env.KUBE_MTLS_UPDATE === '1' && node.layout.todo === undefined) {
    for (const file of ['expected.diff', 'expected.problem']) await rm(join(fixtures, name, file), { force: true });
    await writeFile(path, text);
  }
  assert.equal(text, await readFile(path, 'utf8').catch(() => 'another kind of answer'));
}

it('has at least 40 layouts', () => assert.ok(layouts.length >= 40, `there are ${layouts.length}`));

describe('a layout is rewritten as expected, and a second time not at all', () => {
  for (const name of layouts) {
    it(name, { todo: todos.get(name) ?? false }, () =>
      on(name, async (node) => {
        const plan = planNode(await node.input());
        await assertExpected(name, plan, node);
        assert.ok(plan.changes.length + plan.problems.length > 0, 'says nothing of this node');
        await node.cluster.apply(plan);
        const again = planNode(await node.input());
        assert.equal(asInFixture(renderPlan({ ...again, problems: [] }), node), 'nothing to change\n');
        assert.deepEqual(again.problems, plan.problems);
      }),
    );
  }
});

describe('every change of a layout can be taken back to the exact bytes', () => {
  for (const name of layouts) {
    it(name, { todo: todos.get(name) ?? false }, () =>
      on(name, async (node) => {
        const random = seeded(name);
        const host = await hostOf(node);
        const tree = await host.tree();
        for (const change of planNode(await node.input()).changes) {
          const signed = await sign(node, change);
          const title = change.components.map(({ component }) => component).join(' and ');
          const steps = await runUntil(host, (deps) => doAndUndo(deps, signed));
          assert.ok(steps.includes('link-switched') && steps.includes('undone'), title);
          assert.deepEqual(differing(await host.tree(), tree), [], `${title}, undone`);
          await runUntil(host, async (deps) => void (await recover(deps, AbortSignal.timeout(60_000))));
          const at = 1 + Math.floor(random() * steps.length);
          await runUntil(host, (deps) => doAndUndo(deps, signed), at);
          const results = await recover(host.deps(), AbortSignal.timeout(60_000));
          const where = `${title}, recovered after dying at step ${at}, ${steps[at - 1]}`;
          assert.deepEqual(
            results.filter(({ outcome }) => outcome === 'unfinished' || outcome === 'unreadable'),
            [],
            where,
          );
          assert.deepEqual(differing(await host.tree(), tree), [], where);
        }
      }),
    );
  }
});
