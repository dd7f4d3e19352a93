/** What tests of the plan say about plans. */
import assert from 'node:assert/strict';
import type { Component } from '../../common/names/names.ts';
import type { ComponentChange, NodePlan } from './change.ts';
import type { FakeCluster } from './fake-cluster.ts';

/** Runs a test on a node and removes it. */
export async function on(made: Promise<FakeCluster>, test: (cluster: FakeCluster) => Promise<void>): Promise<void> {
  const cluster = await made;
  try {
    await test(cluster);
  } finally {
    await cluster.remove();
  }
}

/** Components of each change. */
export function groupsOf({ changes }: NodePlan): Component[][] {
  return changes.map(({ components }) => components.map(({ component }) => component));
}

/** The change of a component; it must be in the plan. */
export function changeOf({ changes, problems }: NodePlan, component: Component): ComponentChange {
  const found = changes.flatMap(({ components }) => components).find((each) => each.component === component);
  assert.ok(found, `${component} does not change: ${JSON.stringify(problems)}`);
  return found;
}

/** Names of the slots. */
export function slotsOf({ slots }: ComponentChange): string[] {
  return slots.map(({ file }) => file);
}

/** Texts after the change by the last part of their path; our folder is cut off. */
export function textsOf({ files }: ComponentChange): Record<string, string> {
  return Object.fromEntries(
    files.map(({ path, after }) => [path.replace(/.*\//, ''), after.text.replace(/\/[^\s"]*\/current\//g, '')]),
  );
}

/** Flags of a drop-in or a manifest, by name without dashes; our folder is cut off. */
export function flagsOf(text: string): Record<string, string> {
  const words = text.matchAll(/(?:^|\s)"?--([\w-]+)=?([^\s"\\]*)/g);
  return Object.fromEntries([...words].map(([, name = '', value = '']) => [name, value]));
}

/** Applies the plan of the node, after which nothing may be left to do. */
export async function applyAll(cluster: FakeCluster): Promise<NodePlan> {
  const plan = await cluster.plan();
  assert.deepEqual(plan.problems, []);
  await cluster.apply(plan);
  await assertDone(cluster);
  return plan;
}

/** Nothing is left to do. */
export async function assertDone(cluster: FakeCluster): Promise<void> {
  const { changes, problems } = await cluster.plan();
  assert.deepEqual(
    changes.map(({ components }) => components.map(({ component, summary }) => [component, summary])),
    [],
  );
  assert.deepEqual(problems, []);
}
