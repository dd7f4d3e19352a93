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

/** Makes the judge that verification takes. */
export function judgeProcess({ journal, clock, addresses }: JudgeDeps): VerifyDeps['judgeJournal'] {
  return async ({ detected, target }, restarted, signal) => {
    const { component, unit, cursor, startedAtMs, invocationId } = restarted;
    const from = cursor === '' ? { unit, sinceMs: startedAtMs - 1000, signal } : { unit, cursor, signal };
    const entries = await readSince(journal, from);
    const lately = clock.nowMs() - LATELY_MS;
    const counts = (entry: JournalEntry) =>
      cursor !== '' || entry.realtimeMs >= lately || classify(component, entry)?.role === 'success';
    return judgeJournal({
      component,
      unit,
      entries: entries.filter(counts),
      invocationId,
      target: detected.component === 'etcd' ? target : 'enforced',
      ownAddresses: addresses(),
      peersExpected: [],
    });
  };
}
