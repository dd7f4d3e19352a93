/** Ends an API server that is slow to stop while systemd stops its unit. */
import type { Component } from '../../common/names/names.ts';
import { type EndingDeps, endingSlowStop, seeServing } from './end-slow-stop.ts';
import { showUnit } from './unit-state.ts';

/**
 * Does the work that stops or restarts the unit; see {@link endingSlowStop}. Of other components nothing is ended. Nothing is sent unless
 * systemd says that it is stopping the unit and that this very process is its main one.
 *
 * @param mainPid main process of the unit before; 0 when none runs
 * @throws whatever the work throws
 */
export async function endingSlowUnit<T>(
  deps: EndingDeps,
  component: Component,
  unit: string,
  mainPid: number,
  work: () => Promise<T>,
): Promise<T> {
  const serving = component === 'kube-apiserver' && mainPid > 0 ? await seeServing(deps, mainPid) : undefined;
  const isStopping = async (pid: number) => {
    const now = await showUnit(deps.run, unit);
    return now.activeState === 'deactivating' && now.mainPid === pid;
  };
  return endingSlowStop(deps, component, serving === undefined ? [] : [serving], isStopping, work);
}
