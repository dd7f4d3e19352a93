/** The logs of static pods as they are written. */
import { messageOf } from '../../common/errors/app-error.ts';
import type { Log } from '../../common/log/log.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { JournalEntry } from './journal-entry.ts';
import { type OpenPodLog, openPodLog } from './open-pod-log.ts';
import type { PodContainer } from './pod-log-entries.ts';
import { isMissing, POD_LOGS, podLogFiles } from './pod-log-files.ts';

/** What the follower needs. */
export interface FollowPodLogsDeps {
  clock: Clock;
  log: Log;
  /** Folder of the pods' logs, by default {@link POD_LOGS}. */
  podLogs?: string;
}

/** How often the files are looked at. */
export const POLL_MS = 2000;

/** What is known of the files that are followed. */
interface Followed<C> {
  /** By path. */
  logs: Map<string, { container: C; log: OpenPodLog }>;
  /** Containers that were seen before: a file that is new there is read from its start. */
  known: Set<string>;
  /** Paths of which it was said that they cannot be read. */
  unreadable: Set<string>;
}

/**
 * The entries of containers from now on, with the container that wrote each. New runs of a container, and of its pod under
 * another manifest, are followed from their first line; rotated and cut files too. Which containers is asked at every look; one
 * that is new begins at its end. It ends when the signal fires.
 */
export async function* followPodLogs<C extends PodContainer>(
  deps: FollowPodLogsDeps,
  containers: () => readonly C[],
  signal: AbortSignal,
): AsyncIterable<{ container: C; entry: JournalEntry }> {
  const followed: Followed<C> = { logs: new Map(), known: new Set(), unreadable: new Set() };
  try {
    while (!signal.aborted) {
      const wanted = containers();
      for (const container of wanted) {
        for await (const entry of look(deps, followed, container)) yield { container, entry };
      }
      await forget(followed, wanted);
      await deps.clock.sleep(POLL_MS, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    for (const { log } of followed.logs.values()) await log.close();
  }
}

/** What a container wrote since the last look. */
async function* look<C extends PodContainer>(
  deps: FollowPodLogsDeps,
  followed: Followed<C>,
  container: C,
): AsyncIterable<JournalEntry> {
  const key = keyOf(container);
  const known = followed.known.has(key);
  let paths: string[];
  try {
    paths = await podLogFiles(deps.podLogs ?? POD_LOGS, container, false);
  } catch (error) {
    sayOnce(deps.log, followed, key, error);
    return;
  }
  followed.known.add(key);
  // those that rotation has put away, or is about to replace, may be written to still
  const away = [...followed.logs].filter(([path, one]) => keyOf(one.container) === key && !paths.includes(path));
  for (const path of [...away.map(([path]) => path), ...paths]) {
    try {
      // what could not be read in the middle is not read again from its start
      const from = known && !followed.unreadable.has(path) ? 'start' : 'end';
      yield* lookAtFile(deps, followed, container, path, from);
    } catch (error) {
      await close(followed, path);
      if (!isMissing(error)) sayOnce(deps.log, followed, path, error);
    }
  }
}

async function* lookAtFile<C extends PodContainer>(
  deps: FollowPodLogsDeps,
  followed: Followed<C>,
  container: C,
  path: string,
  from: 'start' | 'end',
): AsyncIterable<JournalEntry> {
  const onDropped = () => deps.log.warn('log line too long, left out', { path });
  const begin = async (where: 'start' | 'end') => {
    const log = await openPodLog(path, container, where, onDropped);
    followed.logs.set(path, { container, log });
    return log;
  };
  const log = followed.logs.get(path)?.log ?? (await begin(from));
  yield* log.written();
  if (!(await log.isCurrent())) {
    yield* log.written(); // up to the moment at which the other file took its place
    await close(followed, path);
    const next = await begin('start');
    yield* next.written();
  } else if (await log.isGone()) {
    yield* log.written();
    await close(followed, path);
  }
}

/** Lets go of containers that are not asked for any more. */
async function forget<C extends PodContainer>(followed: Followed<C>, wanted: readonly C[]): Promise<void> {
  const keys = new Set(wanted.map(keyOf));
  for (const key of followed.known) if (!keys.has(key)) followed.known.delete(key);
  for (const [path, { container }] of followed.logs) if (!keys.has(keyOf(container))) await close(followed, path);
}

async function close<C>(followed: Followed<C>, path: string): Promise<void> {
  const one = followed.logs.get(path);
  followed.logs.delete(path);
  await one?.log.close();
}

function sayOnce<C>(log: Log, { unreadable }: Followed<C>, path: string, error: unknown): void {
  if (unreadable.has(path)) return;
  unreadable.add(path);
  log.warn('log of a pod could not be read', { path, detail: messageOf(error) });
}

function keyOf({ namespace, pod, container }: PodContainer): string {
  return `${namespace}/${pod}/${container}`;
}
