/** Restarts the units of a change one after another. */
import type { AppliedChange } from '../apply/apply-change.ts';
import type { Change } from '../plan/change.ts';
import { advanceChange } from '../stage/change-journal.ts';
import { type ChangeRecord, permitOf, withComponent } from '../stage/change-record.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { type RestartedUnit, restartUnit } from './restart-unit.ts';
import { dependantsOf, stopUnit } from './stop-dependants.ts';

/** A change whose units were restarted, or of which one would not. Only {@link restartUnits} makes it. */
export interface RestartedChange {
  readonly stage: 'restarted';
  readonly change: Change;
  readonly record: ChangeRecord;
  /** In the order of the restarts; ends with the first that failed. */
  readonly units: readonly RestartedUnit[];
  /** Units that were stopped and disabled before and were left so. */
  readonly leftStopped: readonly string[];
  /** True when every restart went well; otherwise the change has to be undone. */
  readonly ok: boolean;
}

/**
 * Restarts the units in order, what depends on etcd stopped before it, and goes no further than the first that fails. A member's new peer URLs are made known right before it.
 *
 * @throws AppError 'unavailable' when the signal fires, or when systemd or the etcd cluster does not answer; undo then
 */
export async function restartUnits(
  deps: TransactionDeps,
  applied: AppliedChange,
  signal?: AbortSignal,
): Promise<RestartedChange> {
  const { layout } = deps;
  const permitId = permitOf(applied.record.state) ?? '';
  const units: RestartedUnit[] = [];
  const leftStopped: string[] = [];
  let { record } = applied;
  const wanted = record.components.filter(({ unitBefore }) => unitBefore?.wanted === true);
  for (const { component, unit } of dependantsOf(wanted)) {
    signal?.throwIfAborted();
    record = await advanceChange(layout, withComponent(record, component, { restartBegun: true }), {
      name: 'restarting',
      permitId,
    });
    await stopUnit(deps.run, unit, signal);
    await deps.checkpoint('dependant-stopped');
  }
  for (const { component, unit, unitBefore, memberUpdate } of applied.record.components) {
    if (unitBefore?.wanted !== true) {
      leftStopped.push(unit);
      continue;
    }
    signal?.throwIfAborted();
    const begun = { restartBegun: true, memberUpdateBegun: memberUpdate !== null };
    record = await advanceChange(layout, withComponent(record, component, begun), { name: 'restarting', permitId });
    await deps.checkpoint('restart-begun');
    if (memberUpdate !== null) {
      await deps.updateMember(memberUpdate, 'forward', signal);
      await deps.checkpoint('member-updated');
    }
    const restarted = await restartUnit(deps, component, unit, signal);
    await deps.checkpoint('unit-restarted');
    units.push(restarted);
    deps.log.info('unit restarted', { changeId: record.changeId, component, unit, detail: restarted.detail });
    if (!restarted.ok) return { stage: 'restarted', change: applied.change, record, units, leftStopped, ok: false };
  }
  if (record.state.name === 'switched') record = await advanceChange(layout, record, { name: 'restarting', permitId });
  record = await advanceChange(layout, record, { name: 'verifying', permitId });
  await deps.checkpoint('verifying');
  return { stage: 'restarted', change: applied.change, record, units, leftStopped, ok: true };
}
