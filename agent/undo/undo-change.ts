/** Takes a change back, from what its journal says and nothing else. */
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { runChecked } from '../../common/run/command.ts';
import type { MemberUpdate } from '../plan/change.ts';
import type { RestartedUnit } from '../restart/restart-unit.ts';
import { dependantUnits, stopUnit } from '../restart/stop-dependants.ts';
import { advanceChange, freeReserve, loadChange } from '../stage/change-journal.ts';
import { type ChangeRecord, isBeforeSwitch, permitOf, withComponent } from '../stage/change-record.ts';
import { discardChange } from '../stage/discard-change.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { removeFolders, removeVersion } from '../stage/version-folder.ts';
import { restoreFiles } from './restore-files.ts';
import { isUnitDisturbed, noteWrittenManifests, restoreProcess } from './restore-process.ts';

/** A change that is no more: the node's files are as they were before it. Only {@link undoChange} makes it. */
export interface UndoneChange {
  readonly stage: 'undone';
  /** The last record of the journal. */
  readonly record: ChangeRecord;
  /** 'discarded' when nothing was switched yet, so that nothing was restarted either. */
  readonly outcome: 'undone' | 'discarded';
  readonly reason: string;
  /** What was restarted with the old files; one that is not ok has to be reported as failed. */
  readonly units: readonly RestartedUnit[];
  /** True when all of them came back. */
  readonly ok: boolean;
  /** Files that somebody else had changed since, and where their content is kept. */
  readonly foreign: readonly { path: string; savedAs: string }[];
}

/**
 * Undoes a change that failed or was interrupted: files, links, systemd's view, the etcd membership, and a restart of exactly what
 * was disturbed. A static pod restarts when its manifest is put back, so that is done in its turn. Reads the journal anew, so that any older record of the change will do. May be repeated after a
 * crash or an error; the first reason stays. The journal stays as undone until forgetChange.
 *
 * @param reason - why, for a person
 * @throws AppError 'conflict' for a change that was kept, 'unavailable' when systemd or the etcd cluster does not answer,
 *   'internal' when a copy is damaged; the change then stays undoing and is tried again by the next recover
 */
export async function undoChange(
  deps: TransactionDeps,
  change: Pick<ChangeRecord, 'changeId'>,
  reason: string,
  signal?: AbortSignal,
): Promise<UndoneChange> {
  const { layout } = deps;
  let record = await loadChange(layout, change.changeId);
  const { state } = record;
  if (state.name === 'kept') throw new AppError('conflict', `change ${record.changeId} was kept: it is not undone`);
  if (isBeforeSwitch(state) || state.name === 'discarded') {
    await discardChange(deps, record, reason);
    return result(record, 'discarded', 'reason' in state ? state.reason : reason, []);
  }
  if (state.name === 'undone') return result(record, 'undone', state.reason, []);
  const undoing = {
    name: 'undoing',
    permitId: permitOf(state) ?? '',
    reason: state.name === 'undoing' ? state.reason : reason,
  } as const;
  await freeReserve(layout, record.changeId);
  if (state.name !== 'undoing') record = await noteWrittenManifests(record);
  record = await advanceChange(layout, record, undoing);
  await deps.checkpoint('undoing');
  record = await restoreFiles(deps, record);
  await runChecked(deps.run, ['systemctl', 'daemon-reload']);
  await deps.checkpoint('undo-reloaded');
  await stopDependants(deps, record, signal);
  const units: RestartedUnit[] = [];
  const pending: MemberUpdate[] = [];
  for (const component of record.components) {
    const update = component.memberUpdateBegun ? component.memberUpdate : null;
    // With the new process still up its member can agree to the old URLs itself; when it is down, the old process comes first.
    let known = update === null || (await tryUpdate(deps, record, update, signal));
    const restored = await restoreProcess(deps, record, component.component, signal);
    record = restored.record;
    if (restored.restarted !== undefined) {
      units.push(restored.restarted);
      const patch = { restoredInvocationId: restored.restarted.invocationId };
      record = await advanceChange(layout, withComponent(record, component.component, patch), undoing);
      await deps.checkpoint('unit-restored');
    }
    known ||= update === null || (await tryUpdate(deps, record, update, signal));
    if (update === null) continue;
    if (known) await deps.checkpoint('member-restored');
    else pending.push(update);
  }
  for (const update of pending) await deps.updateMember(update, 'back', signal);
  for (const { folder, newTarget } of record.components) await removeVersion(folder, newTarget);
  await removeFolders(record.newFolders);
  await deps.checkpoint('version-removed');
  record = await advanceChange(layout, record, { ...undoing, name: 'undone' });
  await deps.checkpoint('undone');
  deps.log.warn('change undone', { changeId: record.changeId, detail: undoing.reason, count: units.length });
  return result(record, 'undone', undoing.reason, units);
}

/** As on the way forward: what depends on etcd stops before etcd restarts. */
async function stopDependants(
  deps: TransactionDeps,
  { components }: ChangeRecord,
  signal?: AbortSignal,
): Promise<void> {
  const etcd = components.find(({ component }) => component === 'etcd');
  if (etcd === undefined) return;
  const isRestored = etcd.process.kind === 'static-pod' ? etcd.restartBegun : await isUnitDisturbed(deps, etcd, signal);
  if (!isRestored) return;
  for (const dependant of dependantUnits(components)) {
    const entry = components.find(({ component }) => component === dependant.component);
    if (entry === undefined || !(await isUnitDisturbed(deps, entry, signal))) continue;
    await stopUnit(deps, dependant, signal);
    await deps.checkpoint('undo-dependant-stopped');
  }
}

async function tryUpdate(
  deps: TransactionDeps,
  record: ChangeRecord,
  update: MemberUpdate,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    await deps.updateMember(update, 'back', signal);
    return true;
  } catch (error) {
    signal?.throwIfAborted();
    deps.log.info('the etcd cluster does not take the old peer URLs yet', {
      changeId: record.changeId,
      detail: messageOf(error),
    });
    return false;
  }
}

function result(
  record: ChangeRecord,
  outcome: UndoneChange['outcome'],
  reason: string,
  units: readonly RestartedUnit[],
): UndoneChange {
  const ok = units.every((unit) => unit.ok);
  return { stage: 'undone', record, outcome, reason, units, ok, foreign: record.foreign };
}
