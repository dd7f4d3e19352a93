/**
 * Gets kubelet going again where it does not start the new container of an etcd. It deletes the mirror pod of the old manifest first
 * (syncPod in pkg/kubelet/kubelet.go), and when the old etcd ends before that is through, the API server that should do it hangs for want
 * of etcd: 27 to 28 s seen with v1.20.2, until kubelet drops its connections. An API server that is gone is not waited for.
 */
import type { Component } from '../../common/names/names.ts';
import type { Dependant } from '../plan/change.ts';
import { showProcess } from '../process/show-process.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { endContainer } from './end-container.ts';

/** Where kubelet did not hang the new container was there 1.4 to 2.7 s after the manifest. */
const STALLED_MS = 3000;

/** Watches one pod that is being replaced. */
export class StalledPod {
  readonly #deps: Pick<TransactionDeps, 'layout' | 'run' | 'clock' | 'log'>;
  readonly #dependants: readonly Dependant[];
  #goneSinceMs: number | undefined;
  /** What was ended, once. */
  readonly ended: Component[] = [];

  /** @param dependants what cannot work without the pod */
  constructor(deps: Pick<TransactionDeps, 'layout' | 'run' | 'clock' | 'log'>, dependants: readonly Dependant[]) {
    this.#deps = deps;
    this.#dependants = dependants;
  }

  /**
   * To be told at every look whether no container of the pod runs. Ends the dependants, by force since they would try for 20 s to end in
   * order, when it has been so for three seconds; kubelet starts them again.
   */
  async look(isGone: boolean, signal?: AbortSignal): Promise<void> {
    const nowMs = this.#deps.clock.monotonicMs();
    this.#goneSinceMs = isGone ? (this.#goneSinceMs ?? nowMs) : undefined;
    if (this.#goneSinceMs === undefined || nowMs - this.#goneSinceMs < STALLED_MS || this.ended.length > 0) return;
    for (const { component, process } of this.#dependants) {
      const state = await showProcess(this.#deps, process, signal);
      if (state.invocationId === '') continue;
      await endContainer(this.#deps, process, state, 'KILL', 'kubelet waits for it, and it for etcd');
      this.ended.push(component);
    }
  }
}
