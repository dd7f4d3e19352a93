/** Waits until a static pod runs anew: kubelet is never asked, what runs in /proc tells. */
import type { Component } from '../../common/names/names.ts';
import type { Dependant } from '../plan/change.ts';
import type { ContainerProcess } from '../process/find-containers.ts';
import { type PodContainers, type PodRef, podContainers, shortId } from '../process/pod-containers.ts';
import { readManifest } from '../process/show-process.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import type { RestartedUnit } from './restart-unit.ts';
import { StalledPod } from './stalled-pod.ts';

/** What is waited for. */
export interface Replacement {
  component: Component;
  process: PodRef;
  /** When the restart was asked for, milliseconds since the epoch. */
  askedAtMs: number;
  /** Containers that have to be gone. */
  replaced: ReadonlySet<string>;
  /** A container that runs as the manifest says already; kubelet leaves it so when it never saw another manifest. */
  mayStay?: string | undefined;
  /** What cannot work without the pod; ended when kubelet hangs on it. */
  dependants: readonly Dependant[];
}

const LIMIT_MS = 5 * 60_000;
const POLL_MS = 1000;
const PROGRESS_MS = 30_000;
/**
 * A container that is still up after this time is not being ended: 30 s are the default grace period of a pod, and kubelet
 * looks at its manifests every 20 s (fileCheckFrequency) where inotify does not tell it.
 */
const UNTOUCHED_MS = 90_000;

/**
 * Waits until a container runs with the command of the manifest, and none of the replaced ones does any more. That none comes within
 * five minutes is an answer, not an error.
 *
 * @throws AbortError when the signal fires
 */
export async function awaitContainer(
  deps: Pick<TransactionDeps, 'layout' | 'run' | 'clock' | 'log'>,
  wanted: Replacement,
  signal?: AbortSignal,
): Promise<RestartedUnit> {
  const { clock, log } = deps;
  const { component, process, askedAtMs, replaced, mayStay } = wanted;
  const stalled = new StalledPod(deps, wanted.dependants);
  const base = { component, process, unit: process.pod, live: false, cursor: '', ended: stalled.ended };
  const done = ({ containerId, startedAtMs }: ContainerProcess, what: string) => ({
    ...base,
    startedAtMs: Math.max(askedAtMs, startedAtMs),
    invocationId: containerId,
    ok: true,
    detail: `container ${shortId(containerId)} ${what}`,
  });
  const untilMs = clock.monotonicMs() + LIMIT_MS;
  let nextProgressMs = clock.monotonicMs() + PROGRESS_MS;
  let staysSinceMs: number | undefined;
  for (;;) {
    const found = await look(deps, process);
    const up = new Set([...found.running, ...found.others].map(({ containerId }) => containerId));
    const over = ![...replaced].some((id) => up.has(id));
    const fresh = found.running.find(({ containerId }) => containerId !== mayStay && !replaced.has(containerId));
    const stays = found.running.find(({ containerId }) => containerId === mayStay);
    const nowMs = clock.monotonicMs();
    if (over && fresh !== undefined && stays === undefined) return done(fresh, 'runs');
    staysSinceMs = over && fresh === undefined && stays !== undefined ? (staysSinceMs ?? nowMs) : undefined;
    if (stays !== undefined && staysSinceMs !== undefined && nowMs - staysSinceMs >= UNTOUCHED_MS) {
      return done(stays, 'runs as before: kubelet did not replace it');
    }
    await stalled.look(over && fresh === undefined && stays === undefined, signal);
    const detail = explain(wanted, found, up);
    if (nowMs >= untilMs) {
      const late = `kubelet did not restart ${process.pod} within ${LIMIT_MS / 1000} s`;
      return { ...base, startedAtMs: askedAtMs, invocationId: '', ok: false, detail: `${late}: ${detail}` };
    }
    if (nowMs >= nextProgressMs) {
      log.info('waiting for the container of a static pod', { component, unit: process.pod, detail });
      nextProgressMs += PROGRESS_MS;
    }
    await clock.sleep(POLL_MS, signal);
  }
}

/** What runs of the pod now; nothing where the manifest says no command. */
async function look(deps: Pick<TransactionDeps, 'layout'>, process: PodRef): Promise<PodContainers> {
  const text = await readManifest(process.manifest);
  const found = text === undefined ? undefined : await podContainers(deps.layout, process, text);
  return found ?? { running: [], others: [] };
}

/** What is seen, for a person. How a container ended is not known here: only its runtime knows. */
function explain({ process, replaced, mayStay }: Replacement, found: PodContainers, up: ReadonlySet<string>): string {
  const old = [...replaced, ...(mayStay === undefined ? [] : [mayStay])].filter((id) => up.has(id));
  const others = found.others.filter(({ containerId }) => !replaced.has(containerId));
  const fresh = found.running.some(({ containerId }) => !old.includes(containerId));
  return [
    ...old.map((id) => `container ${shortId(id)} from before still runs`),
    ...others.map(({ containerId }) => `container ${shortId(containerId)} runs with other arguments`),
    ...(fresh ? [] : [`no new container runs with the command of ${process.manifest}`]),
  ].join('; ');
}
