/** Lets the components of a change use their new files, one after another: most by a restart, some without. */
import type { AppliedChange } from '../apply/apply-change.ts';
import type { Change } from '../plan/change.ts';
import { nameOf } from '../process/process-ref.ts';
import { showProcess } from '../process/show-process.ts';
import { advanceChange } from '../stage/change-journal.ts';
import { type ChangeRecord, type ComponentRecord, permitOf, withComponent } from '../stage/change-record.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { restartComponent } from './restart-component.ts';
import { restartAfterAll } from './restart-live.ts';
import type { RestartedUnit } from './restart-unit.ts';
import { dependantUnits, stopUnit } from './stop-dependants.ts';

/** A change whose processes use the new files, or of which one would not. Only restartUnits and restartLive make it. */
export interface RestartedChange {
  readonly stage: 'restarted';
  readonly change: Change;
  readonly record: ChangeRecord;
  /** In the order of the restarts, those that took their files up live among them; ends with the first that failed. */
  readonly units: readonly RestartedUnit[];
  /** What was stopped and disabled before and was left so. */
  readonly leftStopped: readonly string[];
  /** True when every restart went well; otherwise the change has to be undone. */
  readonly ok: boolean;
}

/**
 * Restarts the components in order, what depends on etcd stopped before it, and goes no further than the first that fails. One that
 * takes its files up live is only looked at; when it does not run at all, it is restarted too.
 *
 * @throws AppError 'unavailable' when systemd or the etcd cluster does not answer, 'conflict' when somebody changed a
 *   manifest meanwhile; AbortError when the signal fires; undo then
 */
export async function restartUnits(
  deps: TransactionDeps,
  applied: AppliedChange,
  signal?: AbortSignal,
): Promise<RestartedChange> {
  const { layout } = deps;
  const { change } = applied;
  const permitId = permitOf(applied.record.state) ?? '';
  const units: RestartedUnit[] = [];
  const leftStopped: string[] = [];
  let { record } = applied;
  for (const dependant of dependantUnits(record.components)) {
    signal?.throwIfAborted();
    record = await advanceChange(layout, withComponent(record, dependant.component, { restartBegun: true }), {
      name: 'restarting',
      permitId,
    });
    await stopUnit(deps, dependant, signal);
    await deps.checkpoint('dependant-stopped');
  }
  for (const entry of record.components) {
    const { component, process, processBefore, takeUp } = entry;
    if (process.kind !== 'none' && processBefore?.wanted !== true) {
      leftStopped.push(nameOf(process));
      continue;
    }
    signal?.throwIfAborted();
    if (takeUp === 'live' || process.kind === 'none') {
      const taken = await takenUp(deps, applied, entry, signal);
      if (taken.ok) {
        units.push(taken);
        continue;
      }
    }
    const files = change.components.find((each) => each.component === component)?.files ?? [];
    const done =
      takeUp === 'live'
        ? await restartAfterAll(deps, record, component, signal)
        : await restartComponent(deps, record, entry, files, signal);
    record = done.record;
    units.push(done.restarted);
    if (!done.restarted.ok) return { stage: 'restarted', change, record, units, leftStopped, ok: false };
  }
  if (record.state.name === 'switched') record = await advanceChange(layout, record, { name: 'restarting', permitId });
  record = await advanceChange(layout, record, { name: 'verifying', permitId });
  await deps.checkpoint('verifying');
  return { stage: 'restarted', change, record, units, leftStopped, ok: true };
}

/** The process that ran before, and goes on with the new files; ok when it does run. Where nothing runs all is well. */
async function takenUp(
  deps: TransactionDeps,
  { cursor, switchedAtMs }: AppliedChange,
  { component, process }: ComponentRecord,
  signal?: AbortSignal,
): Promise<RestartedUnit> {
  const state = await showProcess(deps, process, signal);
  return {
    component,
    process,
    unit: nameOf(process),
    live: true,
    cursor: process.kind === 'unit' ? cursor : '',
    startedAtMs: switchedAtMs,
    invocationId: state.invocationId,
    ok: process.kind === 'none' || state.activeState === 'active',
    detail: state.text,
  };
}
