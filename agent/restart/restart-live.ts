/** Restarts what should have taken its new files up while it runs, and did not. */
import { join } from 'node:path';
import { AppError } from '../../common/errors/app-error.ts';
import { writeFileDurably } from '../../common/files/durable.ts';
import type { Component } from '../../common/names/names.ts';
import type { FileChange } from '../plan/change.ts';
import { fillPlaceholders } from '../plan/placeholders.ts';
import { markRestart } from '../plan/rewrite-manifest.ts';
import type { PodRef } from '../process/pod-containers.ts';
import { advanceChange, changeFolder } from '../stage/change-journal.ts';
import { type ChangeRecord, type ComponentRecord, type FileRecord, permitOf } from '../stage/change-record.ts';
import { inspectFile, markOf } from '../stage/file-state.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { type ComponentRestart, restartComponent } from './restart-component.ts';
import type { RestartedChange } from './restart-units.ts';

/**
 * Restarts components of a change that were taken for live ones, in order, under the permit that the change has. It goes no
 * further than the first that fails; those that are not asked for stay as they are.
 *
 * @param restarted the change as {@link restartUnits} left it, with all well
 * @param components which; those that were restarted already, and those where nothing runs, are passed over
 * @returns the change to be verified again
 * @throws as restartUnits; undo then
 */
export async function restartLive(
  deps: TransactionDeps,
  restarted: RestartedChange,
  components: ReadonlySet<Component>,
  signal?: AbortSignal,
): Promise<RestartedChange> {
  let { record } = restarted;
  const units = [...restarted.units];
  for (const [at, { component, process, live }] of units.entries()) {
    if (!live || process.kind === 'none' || !components.has(component)) continue;
    signal?.throwIfAborted();
    const done = await restartAfterAll(deps, record, component, signal);
    record = done.record;
    units[at] = done.restarted;
    if (!done.restarted.ok) return { ...restarted, record, units, ok: false };
  }
  if (record.state.name === 'restarting') {
    record = await advanceChange(deps.layout, record, { name: 'verifying', permitId: permitOf(record.state) ?? '' });
    await deps.checkpoint('verifying');
  }
  return { ...restarted, record, units };
}

/**
 * Restarts a component of which no file says that it shall: a unit as ever, a static pod by a mark in its manifest.
 *
 * @throws as {@link restartComponent}
 */
export async function restartAfterAll(
  deps: TransactionDeps,
  record: ChangeRecord,
  component: Component,
  signal?: AbortSignal,
): Promise<ComponentRestart> {
  const entry = record.components.find((each) => each.component === component);
  if (entry === undefined) throw new AppError('internal', `${component} is no part of change ${record.changeId}`);
  if (entry.process.kind !== 'static-pod') return restartComponent(deps, record, entry, [], signal);
  const { change, noted } = await markManifest(deps, record, entry.process);
  const marked: ComponentRecord = { ...entry, files: [...entry.files, noted] };
  return restartComponent(deps, record, marked, [change], signal);
}

/** The manifest with the mark of this change. It is not part of the plan, so its copy for the undo is made here. */
async function markManifest(
  deps: Pick<TransactionDeps, 'layout'>,
  { changeId, components }: ChangeRecord,
  { manifest: path }: PodRef,
): Promise<{ change: FileChange; noted: FileRecord }> {
  const state = await inspectFile(path);
  if (state.kind !== 'file') throw new AppError('conflict', `${path} is no regular file any more: plan again`);
  const { mode, uid, gid } = state.mark;
  const source = { path, text: state.content.toString(), mode, uid, gid };
  const after = { ...source, text: fillPlaceholders(markRestart(source.text), changeId, new Map()) };
  // staging numbers its copies from 0, at most one for each file
  const copy = `before-${components.reduce((sum, { files }) => sum + files.length, 0)}`;
  await writeFileDurably(join(changeFolder(deps.layout, changeId), copy), state.content, { mode: 0o600 });
  return {
    change: { path, before: source, after, restarts: true },
    noted: { path, before: { ...state.mark, copy }, after: markOf(after), restarts: true },
  };
}
