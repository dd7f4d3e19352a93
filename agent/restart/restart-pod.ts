/** Restarts a static pod: kubelet does it when the manifest's content changes. */
import type { Component } from '../../common/names/names.ts';
import type { Dependant } from '../plan/change.ts';
import { type PodRef, podContainers } from '../process/pod-containers.ts';
import { readManifest } from '../process/show-process.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { awaitContainer } from './await-container.ts';
import { endingSlowPod } from './end-slow-pod.ts';
import type { RestartedUnit } from './restart-unit.ts';

/**
 * Writes the manifest and waits for the new container; an API server that is slow to stop is ended (end-slow-stop.ts). A container that
 * does not come is an answer, not an error.
 *
 * @param dependants what cannot work without the pod
 * @param writeManifest has to change the manifest's content
 * @throws whatever writeManifest throws, AbortError when the signal fires
 */
export async function restartPod(
  deps: Pick<TransactionDeps, 'layout' | 'run' | 'clock' | 'log'>,
  component: Component,
  process: PodRef,
  dependants: readonly Dependant[],
  writeManifest: () => Promise<void>,
  signal?: AbortSignal,
): Promise<RestartedUnit> {
  const replaced = await currentContainers(deps, process);
  return endingSlowPod(deps, component, process, replaced, async () => {
    const askedAtMs = deps.clock.nowMs();
    await writeManifest();
    return awaitContainer(deps, { component, process, askedAtMs, replaced, dependants }, signal);
  });
}

/** Identifiers of the containers that run with the command of the manifest as it is. */
export async function currentContainers(
  deps: Pick<TransactionDeps, 'layout'>,
  process: PodRef,
): Promise<ReadonlySet<string>> {
  const text = await readManifest(process.manifest);
  const found = text === undefined ? undefined : await podContainers(deps.layout, process, text);
  return new Set(found?.running.map(({ containerId }) => containerId));
}
