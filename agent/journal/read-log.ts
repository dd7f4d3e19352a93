/** What a component's process wrote: of a unit in the journal, of a static pod in kubelet's files. */
import type { FileHandle } from 'node:fs/promises';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import type { ProcessRef } from '../process/process-ref.ts';
import type { JournalEntry } from './journal-entry.ts';
import { KeptEntries } from './kept-entries.ts';
import { type PodContainer, podLogEntries } from './pod-log-entries.ts';
import { isMissing, openLogFile, POD_LOGS, podLogFiles } from './pod-log-files.ts';
import { type ReadJournalDeps, readSince } from './read-journal.ts';
import { splitLines } from './split-lines.ts';

/** What the reader needs. */
export interface ReadLogDeps extends ReadJournalDeps {
  /** Folder of the pods' logs, by default {@link POD_LOGS}. */
  podLogs?: string;
}

/** From where on a log is read. */
export interface ReadLogFrom {
  /** Of the journal, for a unit; '' where only the time is known, and for a static pod. */
  cursor: string;
  /** When the process started, or took new files up; milliseconds since the epoch. */
  startedAtMs: number;
  signal: AbortSignal;
}

/** How exactly the start of a process is known: the kernel gives the boot time in whole seconds. */
const SLACK_MS = 1000;

/**
 * The entries of the process, oldest first; of more than 5000 the middle is left out. A unit's come after the cursor (without
 * one since a second before the start), a static pod's since the start, of whichever of its containers wrote them. The log of
 * a container that is younger than a second before the start counts from its first line. Empty where nothing runs.
 *
 * @throws AppError 'unavailable' when the log cannot be read, 'deadline' when journalctl takes too long; an AbortError
 */
export async function readLog(deps: ReadLogDeps, process: ProcessRef, from: ReadLogFrom): Promise<JournalEntry[]> {
  const { cursor, startedAtMs, signal } = from;
  signal.throwIfAborted();
  switch (process.kind) {
    case 'unit': {
      const place = cursor === '' ? { sinceMs: startedAtMs - SLACK_MS } : { cursor };
      return await readSince(deps, { unit: process.unit, signal, ...place });
    }
    case 'static-pod':
      return await readPodLogs(deps, process, startedAtMs, signal);
    case 'none':
      return [];
  }
}

async function readPodLogs(
  deps: ReadLogDeps,
  container: PodContainer,
  startedAtMs: number,
  signal: AbortSignal,
): Promise<JournalEntry[]> {
  let entries: JournalEntry[] = [];
  let dropped = 0;
  for (const file of await podLogFiles(deps.podLogs ?? POD_LOGS, container, true)) {
    const read = await readPodLog(file, container, startedAtMs, signal);
    const kept = new KeptEntries(); // file by file, so that many files are no more than one
    for (const entry of [...entries, ...read.entries].sort((a, b) => a.realtimeMs - b.realtimeMs)) kept.add(entry);
    const all = kept.all();
    entries = all.entries;
    dropped += read.dropped + all.dropped;
  }
  if (dropped > 0) deps.log.warn('log entries left out', { unit: container.pod, count: dropped });
  return entries;
}

/** The entries of one file since a time. */
async function readPodLog(
  path: string,
  container: PodContainer,
  startedAtMs: number,
  signal: AbortSignal,
): Promise<{ entries: JournalEntry[]; dropped: number }> {
  const kept = new KeptEntries();
  let tooLong = 0;
  let file: FileHandle | undefined;
  try {
    file = await openLogFile(path);
    const { mtimeMs, size } = await file.stat();
    // a file that nobody wrote to since then need not be read
    if (mtimeMs < startedAtMs - SLACK_MS || size === 0) return kept.all();
    const take = podLogEntries(container);
    let sinceMs: number | undefined;
    // what is written meanwhile is not waited for: somebody may write as fast as it is read
    const bytes = file.createReadStream({ end: size - 1, signal });
    for await (const line of splitLines(bytes, () => tooLong++)) {
      const entry = take(line);
      if (entry === undefined) continue;
      sinceMs ??= entry.realtimeMs >= startedAtMs - SLACK_MS ? entry.realtimeMs : startedAtMs;
      if (entry.realtimeMs >= sinceMs) kept.add(entry);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!isMissing(error)) {
      throw new AppError('unavailable', `the log ${path} could not be read: ${messageOf(error)}`, { cause: error });
    }
  } finally {
    await file?.close();
  }
  const { entries, dropped } = kept.all();
  return { entries, dropped: dropped + tooLong };
}
