/** The journal check of a process: what it wrote since its restart, or, for one that runs for longer, lately. */
import type { Clock } from '../../common/time/clock.ts';
import { classify } from '../journal/classify.ts';
import type { JournalEntry } from '../journal/journal-entry.ts';
import { judgeJournal } from '../journal/judge-journal.ts';
import { type ReadJournalDeps, readSince } from '../journal/read-journal.ts';
import type { VerifyDeps } from './verify-change.ts';

/** Dependencies. */
export interface JudgeDeps {
  journal: ReadJournalDeps;
  clock: Clock;
  /** This node's addresses, without loopback. */
  addresses(): string[];
}

/** How far back failures count for a process that was not just restarted. */
const LATELY_MS = 10 * 60_000;
/** A process, or systemd for it, has written something within this time. */
const BEGIN_MS = 60_000;

/** Makes the judge that verification takes. */
export function judgeProcess({ journal, clock, addresses }: JudgeDeps): VerifyDeps['judgeJournal'] {
  return async ({ detected, target }, restarted, signal) => {
    const { component, unit, cursor, startedAtMs, invocationId } = restarted;
    const from = cursor === '' ? { unit, sinceMs: startedAtMs - 1000, signal } : { unit, cursor, signal };
    const entries = await readSince(journal, from);
    const lately = clock.nowMs() - LATELY_MS;
    const old = cursor === '' && startedAtMs < lately;
    const counts = (entry: JournalEntry) =>
      !old || entry.realtimeMs >= lately || classify(component, entry)?.role === 'success';
    const outcome = judgeJournal({
      component,
      unit,
      entries: entries.filter(counts),
      invocationId,
      target: detected.component === 'etcd' ? target : 'enforced',
      ownAddresses: addresses(),
      peersExpected: [],
    });
    // journald drops old entries, and the sign of success is among the oldest of a process
    const begun = entries[0] !== undefined && entries[0].realtimeMs <= startedAtMs + BEGIN_MS;
    const silent = outcome.result === 'failed' && outcome.evidence.every(({ cause }) => cause === '');
    if (!old || begun || !silent) return outcome;
    const summary = `the journal of ${unit} does not reach back to its start; nothing lately speaks against its certificates`;
    return { ...outcome, result: 'skipped', summary };
  };
}
