/**
 * Stops what depends on a member of etcd before that member restarts with other settings. An API server that has lost its etcd takes
 * 20 s to stop and refuses everybody meanwhile; with etcd it takes 0.6 to 4 s (v1.20.2, two measurements each).
 */
import { AppError } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import type { ComponentRecord } from '../stage/change-record.ts';
import type { EndingDeps } from './end-slow-stop.ts';
import { endingSlowUnit } from './end-slow-unit.ts';
import { showUnit } from './unit-state.ts';

/** Long enough for a graceful end; systemd ends it by force at its own limit. */
const LIMIT_MS = 5 * 60_000;

/** A unit that is to be stopped first. */
export interface DependantUnit {
  component: Component;
  unit: string;
}

/**
 * The units that are to be stopped before etcd restarts: API servers that restart in the same change. Nothing while etcd itself does
 * not restart. A static pod is not among them: kubelet stops one only when its manifest is moved away, and a crash would leave
 * it there (see stalled-pod.ts for what is done instead); kubelet itself is not either, since without it no static pod starts.
 */
export function dependantUnits(components: readonly ComponentRecord[]): DependantUnit[] {
  const restart = components.filter(
    ({ takeUp, processBefore }) => takeUp === 'restart' && processBefore?.wanted === true,
  );
  if (!restart.some(({ component }) => component === 'etcd')) return [];
  return restart.flatMap(({ component, process }) =>
    component === 'kube-apiserver' && process.kind === 'unit' ? [{ component, unit: process.unit }] : [],
  );
}

/**
 * Stops a unit, and ends it when it is slow to stop (end-slow-stop.ts); its restart starts it again. One that does not stop is no error:
 * the restart tells.
 *
 * @throws AppError 'unavailable' when the signal fires
 */
export async function stopUnit(
  deps: EndingDeps,
  { component, unit }: DependantUnit,
  signal?: AbortSignal,
): Promise<void> {
  const options = { timeoutMs: LIMIT_MS, ...(signal === undefined ? {} : { signal }) };
  try {
    const { mainPid } = await showUnit(deps.run, unit, signal);
    await endingSlowUnit(deps, component, unit, mainPid, () => deps.run(['systemctl', 'stop', '--', unit], options));
  } catch (error) {
    const failure = AppError.from(error);
    if (failure.reason !== 'deadline' && failure.reason !== 'not-found') throw failure;
  }
}
