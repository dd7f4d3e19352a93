/** Brings a component's process back to the old files, when the change has disturbed it. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import type { PodRef } from '../process/pod-containers.ts';
import { showProcess } from '../process/show-process.ts';
import { awaitContainer } from '../restart/await-container.ts';
import { endContainer } from '../restart/end-container.ts';
import { endingSlowPod } from '../restart/end-slow-pod.ts';
import { currentContainers } from '../restart/restart-pod.ts';
import { type RestartedUnit, restartUnit } from '../restart/restart-unit.ts';
import { showUnit, type UnitState } from '../restart/unit-state.ts';
import { advanceChange } from '../stage/change-journal.ts';
import { type ChangeRecord, type ComponentRecord, withComponent } from '../stage/change-record.ts';
import { inspectFile, isState } from '../stage/file-state.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { restoreManifests } from './restore-files.ts';

/** What was restored, and the journal after it. */
export interface RestoredProcess {
  record: ChangeRecord;
  /** Undefined when the process was not disturbed. */
  restarted: RestartedUnit | undefined;
}

/**
 * Restarts a component's process with the old files; for a static pod that is putting its manifest back.
 *
 * @param record in state undoing
 * @throws AppError 'unavailable' when systemd does not answer, 'internal' when the copy of a manifest is damaged; AbortError
 *   when the signal fires
 */
export async function restoreProcess(
  deps: TransactionDeps,
  record: ChangeRecord,
  component: Component,
  signal?: AbortSignal,
): Promise<RestoredProcess> {
  const entry = record.components.find((each) => each.component === component);
  if (entry === undefined || entry.process.kind === 'none') return { record, restarted: undefined };
  if (entry.process.kind === 'static-pod') return restorePod(deps, record, entry, entry.process, signal);
  return { record, restarted: await restoreUnit(deps, entry, entry.process.unit, signal) };
}

/**
 * For static pods restartBegun shall say whether kubelet may have seen a manifest of ours: a crash between the journal and the manifest
 * leaves a pod that nobody disturbed. What somebody else wrote before it was our turn stays: it replaced nothing of ours. To be
 * called once, before the first manifest is put back.
 */
export async function noteWrittenManifests(record: ChangeRecord): Promise<ChangeRecord> {
  let at = record;
  for (const entry of record.components) {
    const { component, process, files } = entry;
    if (process.kind !== 'static-pod' || !entry.restartBegun) continue;
    let restartBegun = false;
    for (const { path, before, restarts } of files) {
      if (restarts && !isState(await inspectFile(path), before)) restartBegun = true;
    }
    at = withComponent(at, component, { restartBegun });
  }
  return at;
}

/** True when the undo is going to restart this component's unit. */
export async function isUnitDisturbed(
  deps: TransactionDeps,
  component: ComponentRecord,
  signal?: AbortSignal,
): Promise<boolean> {
  if (component.process.kind !== 'unit') return false;
  const state = await showUnit(deps.run, component.process.unit, signal).catch(gone);
  return state !== undefined && isDisturbed(component, state);
}

async function restoreUnit(
  deps: TransactionDeps,
  entry: ComponentRecord,
  unit: string,
  signal?: AbortSignal,
): Promise<RestartedUnit | undefined> {
  const { component, process } = entry;
  const state = await showUnit(deps.run, unit, signal).catch(gone);
  if (state === undefined) {
    const base = { component, process, unit, live: false, cursor: '', startedAtMs: deps.clock.nowMs() };
    return { ...base, invocationId: '', ok: false, detail: 'there is no such unit any more' };
  }
  if (!isDisturbed(entry, state)) return undefined;
  await deps.run(['systemctl', 'reset-failed', '--', unit]); // fails for a unit that did not fail
  return restartUnit(deps, component, unit, signal);
}

async function restorePod(
  deps: TransactionDeps,
  before: ChangeRecord,
  entry: ComponentRecord,
  process: PodRef,
  signal?: AbortSignal,
): Promise<RestoredProcess> {
  const { component, processBefore, restoredInvocationId } = entry;
  const state = await showProcess(deps, process, signal);
  const restored = state.activeState === 'active' && state.invocationId === restoredInvocationId;
  if (restored || processBefore === null) return { record: before, restarted: undefined };
  if (!entry.restartBegun) return { record: before, restarted: await replaceFresh(deps, entry, process, signal) };
  let record = before;
  let { replacedIds } = entry;
  if (replacedIds === undefined) {
    // after the manifest is back, nobody can tell any more what ran with the new one
    const current = await currentContainers(deps, process);
    replacedIds = [...current].filter((id) => id !== processBefore.invocationId);
    record = await advanceChange(deps.layout, withComponent(record, component, { replacedIds }), record.state);
  }
  const mayStay = processBefore.invocationId === '' ? undefined : processBefore.invocationId;
  const replaced = new Set(replacedIds);
  const { dependants = [] } = entry;
  return endingSlowPod(deps, component, process, replaced, async () => {
    const askedAtMs = deps.clock.nowMs();
    record = await restoreManifests(deps, record, component);
    const wanted = { component, process, askedAtMs, replaced, mayStay, dependants };
    return { record, restarted: await awaitContainer(deps, wanted, signal) };
  });
}

/**
 * A container that kubelet started anew by itself after the switch, at a boot say, may have read the new files. Its manifest is the
 * old one, so that ending the container is what makes kubelet start it again.
 */
async function replaceFresh(
  deps: TransactionDeps,
  { component, takeUp, processBefore, dependants = [] }: ComponentRecord,
  process: PodRef,
  signal?: AbortSignal,
): Promise<RestartedUnit | undefined> {
  const state = await showProcess(deps, process, signal);
  const fresh = state.activeState === 'active' && state.invocationId !== processBefore?.invocationId;
  if (!fresh || takeUp === 'live') return undefined;
  const replaced = new Set([state.invocationId]);
  return endingSlowPod(deps, component, process, replaced, async () => {
    const askedAtMs = deps.clock.nowMs();
    await endContainer(deps, process, state, 'TERM', 'it started while the change was made');
    return awaitContainer(deps, { component, process, askedAtMs, replaced, dependants }, signal);
  });
}

/** True when the process may have read anything of the new files that it does not read again, or ended because of them. */
function isDisturbed(record: ComponentRecord, now: UnitState): boolean {
  const { processBefore, restartBegun, restoredInvocationId, takeUp } = record;
  if (processBefore === null) return false;
  const active = now.activeState === 'active';
  if (active && now.invocationId === restoredInvocationId) return false;
  const fresh = takeUp !== 'live' && now.invocationId !== processBefore.invocationId;
  if (!processBefore.wanted) return active && fresh;
  return restartBegun || fresh || (!active && processBefore.activeState === 'active');
}

/** A unit that is gone cannot keep the files from being restored. */
function gone(error: unknown): undefined {
  if (error instanceof AppError && error.reason === 'not-found') return;
  throw error;
}
