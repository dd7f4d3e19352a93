/** Ends an API server that is slow to stop while kubelet replaces its static pod. */
import type { Component } from '../../common/names/names.ts';
import { type PodRef, podContainers } from '../process/pod-containers.ts';
import { readManifest } from '../process/show-process.ts';
import { type EndingDeps, endingSlowStop, seeServing } from './end-slow-stop.ts';

/**
 * Does the work that makes kubelet replace containers; see {@link endingSlowStop}. Of other components nothing is ended. A process that
 * takes the arguments of an API server without serving is passed over.
 *
 * @param replaced identifiers of the containers; the manifest has to be as it is while they run, or as it was
 * @throws whatever the work throws
 */
export async function endingSlowPod<T>(
  deps: EndingDeps,
  component: Component,
  process: PodRef,
  replaced: ReadonlySet<string>,
  work: () => Promise<T>,
): Promise<T> {
  const text = component === 'kube-apiserver' ? await readManifest(process.manifest) : undefined;
  const found = text === undefined ? undefined : await podContainers(deps.layout, process, text);
  const containers = [...(found?.running ?? []), ...(found?.others ?? [])].filter((each) =>
    replaced.has(each.containerId),
  );
  const serving = await Promise.all(containers.map(({ pid }) => seeServing(deps, pid)));
  const known = serving.filter((each) => each !== undefined);
  return endingSlowStop(deps, component, known, async () => true, work);
}
