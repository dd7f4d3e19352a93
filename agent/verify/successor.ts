/** The process that systemd or kubelet starts by itself when the one that a change started has ended. */
import type { Component } from '../../common/names/names.ts';
import { type ProcessDeps, showProcess } from '../process/show-process.ts';
import type { RestartedUnit } from '../restart/restart-unit.ts';

/**
 * How many processes may end, by component; one that goes on ending is not well. The managers end when an API server does not answer them
 * or does not know their rights yet, as one that starts itself, and when they cannot renew a lease in time. An API server ends when no
 * etcd answers it as it starts, as while a leader is elected. That another server is restarted says nothing of the files that they have:
 * what starts next tells.
 */
const SUCCESSORS: Partial<Record<Component, number>> = {
  'kube-controller-manager': 2,
  'kube-scheduler': 2,
  // it may need half a minute to end each time, and nobody is served meanwhile
  'kube-apiserver': 1,
};
/** systemd waits for RestartSec= (100 ms, in most guides 5 s), kubelet for 10 s from the second time on; milliseconds. */
const STARTED_AGAIN_MS = 20_000;
const POLL_MS = 500;

/** How many processes of it may end before one is judged. */
export function mostSuccessors({ live, component }: RestartedUnit): number {
  return live ? 0 : (SUCCESSORS[component] ?? 0);
}

/**
 * Waits until another process of the component runs. Undefined when none is started in time.
 *
 * @throws AppError 'not-found' or 'unavailable' when it cannot be seen what runs; an AbortError
 */
export async function awaitSuccessor(
  deps: ProcessDeps,
  ended: RestartedUnit,
  signal: AbortSignal,
): Promise<RestartedUnit | undefined> {
  const untilMs = deps.clock.monotonicMs() + STARTED_AGAIN_MS;
  for (;;) {
    const { activeState, invocationId, startedAtMs, text } = await showProcess(deps, ended.process, signal);
    if (activeState === 'active') {
      if (invocationId === ended.invocationId) return undefined; // it never ended
      return { ...ended, cursor: '', startedAtMs, invocationId, detail: text };
    }
    const isComing = activeState === 'activating' || activeState === 'deactivating';
    if (!isComing || deps.clock.monotonicMs() >= untilMs) return undefined;
    await deps.clock.sleep(POLL_MS, signal);
  }
}
