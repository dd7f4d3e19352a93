/** The journal check of a process: what it wrote since its restart or its new files, or, for one that runs for longer, lately. */
import { AppError } from '../../common/errors/app-error.ts';
import type { RunCommand } from '../../common/run/command.ts';
import type { Clock } from '../../common/time/clock.ts';
import { classify } from '../journal/classify.ts';
import type { JournalEntry } from '../journal/journal-entry.ts';
import { judgeJournal } from '../journal/judge-journal.ts';
import { readSince } from '../journal/read-journal.ts';
import { type ReadLogDeps, readLog } from '../journal/read-log.ts';
import { lastMainPid } from '../restart/unit-state.ts';
import type { CheckOutcome } from './checks.ts';
import type { VerifyDeps } from './verify-change.ts';

/** Dependencies. */
export interface JudgeDeps {
  journal: ReadLogDeps;
  clock: Clock;
  run: RunCommand;
}

/** How far back failures count for a process that was not just restarted. */
const LATELY_MS = 10 * 60_000;
/** A process, or systemd for it, has written something within this time. */
const BEGIN_MS = 60_000;

/** Makes the judge that verification takes. */
export function judgeProcess({ journal, clock, run }: JudgeDeps): VerifyDeps['judgeJournal'] {
  return async ({ target }, restarted, signal) => {
    const { component, process, unit, live, cursor, startedAtMs, invocationId } = restarted;
    if (process.kind === 'none') {
      return { kind: 'journal', result: 'skipped', summary: 'nothing runs that would write', evidence: [] };
    }
    const lately = clock.nowMs() - LATELY_MS;
    const old = cursor === '' && startedAtMs < lately;
    const read = (sinceMs: number) => readLog(journal, process, { cursor, startedAtMs: sinceMs, signal });
    const entries = await read(startedAtMs).catch((error: unknown) => {
      // of a process that runs for months there may be more than can be read
      if (old && AppError.from(error).reason === 'deadline') return read(lately);
      throw error;
    });
    const counts = (entry: JournalEntry) =>
      !old || entry.realtimeMs >= lately || classify(component, entry)?.role === 'success';
    const judge = (all: readonly JournalEntry[]) =>
      judgeJournal({ component, unit, entries: all.filter(counts), invocationId, target, live });
    const outcome = judge(entries);
    if (process.kind === 'unit' && isUnexplained(outcome)) {
      const pid = await lastMainPid(run, process.unit, signal);
      const place = cursor === '' ? { sinceMs: startedAtMs } : { cursor };
      const ofProcess = pid === 0 ? [] : await readSince(journal, { unit: process.unit, pid, signal, ...place });
      return judge(merged(entries, ofProcess));
    }
    // journald drops old entries, or they are too many, and the sign of success is among the oldest of a process
    const begun = entries[0] !== undefined && entries[0].realtimeMs <= startedAtMs + BEGIN_MS;
    if (!old || begun || outcome.result !== 'inconclusive') return outcome;
    const summary = `the journal of ${unit} was not read back to its start; nothing lately speaks against its certificates`;
    return { ...outcome, summary };
  };
}

/** True when it is known that the component failed, and not why. */
function isUnexplained({ result, evidence }: CheckOutcome): boolean {
  return result === 'failed' && evidence.every(({ cause }) => cause === '' || cause === 'start-failed');
}

/** Both in the order in which they were written, each entry once. */
function merged(entries: readonly JournalEntry[], more: readonly JournalEntry[]): JournalEntry[] {
  const known = new Set(entries.map(({ cursor }) => cursor));
  const all = [...entries, ...more.filter(({ cursor }) => !known.has(cursor))];
  return all.sort((left, right) => left.realtimeMs - right.realtimeMs);
}
