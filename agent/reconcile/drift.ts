/**
 * Drift: files of ours that somebody else has changed since. What a file was like is remembered from when the node last was as it
 * should be; a change that would write one that is otherwise now would fight whoever changed it.
 */
import type { Change, NodePlan } from '../plan/change.ts';
import type { KeptFile } from '../report/agent-state.ts';
import { type FileState, inspectFile, isState } from '../stage/file-state.ts';
import { renewsSomething } from './renewal.ts';

/** Remembers the files of a change that was just kept. */
export async function rememberFiles(kept: KeptFile[], change: Change): Promise<void> {
  for (const { component, files } of change.components) {
    for (const { path } of files) remember(kept, { component, path }, await inspectFile(path));
  }
}

/** How the files are before the node is looked at. */
export async function inspectKept(kept: readonly KeptFile[]): Promise<Map<string, FileState>> {
  const seen = new Map<string, FileState>();
  for (const { path } of kept) seen.set(path, await inspectFile(path));
  return seen;
}

/**
 * What somebody else changed, the paths by the fingerprint of the change that would put them back. A change that is needed because
 * certificates end is none: they would end while an operator thinks. What no change wants to touch is remembered.
 *
 * @param before - the files before the node was looked at for the plan: an edit that came meanwhile is one that the next plan will see
 */
export async function findDrift(
  kept: KeptFile[],
  plan: NodePlan,
  before: ReadonlyMap<string, FileState>,
): Promise<Map<string, string[]>> {
  const drift = new Map<string, string[]>();
  for (const file of [...kept]) {
    const change = plan.changes.find(({ components }) =>
      components.some(({ component }) => component === file.component),
    );
    const blocked = plan.problems.some(({ component }) => component === file.component);
    if (change === undefined) {
      const seen = before.get(file.path);
      if (!blocked && seen !== undefined) remember(kept, file, seen);
      continue;
    }
    const wanted = change.components.some(({ files }) => files.some(({ path }) => path === file.path));
    if (!wanted || renewsSomething(change) || isState(await inspectFile(file.path), file)) continue;
    drift.set(change.fingerprint, [...(drift.get(change.fingerprint) ?? []), file.path]);
  }
  return drift;
}

function remember(kept: KeptFile[], { component, path }: Pick<KeptFile, 'component' | 'path'>, state: FileState): void {
  const index = kept.findIndex((each) => each.path === path);
  if (index >= 0) kept.splice(index, 1);
  if (state.kind === 'file') kept.push({ component, path, ...state.mark });
}
