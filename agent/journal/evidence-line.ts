/** A line of a log as evidence. */
import type { EvidenceLine } from '../verify/checks.ts';
import type { Cause } from './finding.ts';
import type { JournalEntry } from './journal-entry.ts';

/** Longest line of evidence, in characters. */
export const LINE_LENGTH = 1000;

/** The entry as evidence, at most 1000 characters of it; '' for the cause of what is no failure. */
export function evidenceLine(entry: JournalEntry, cause: Cause | ''): EvidenceLine {
  return {
    // only the journal has cursors
    source: `${entry.cursor === '' ? 'log' : 'journal'} ${entry.unit}`,
    line: entry.message.trimEnd().slice(0, LINE_LENGTH),
    observedAtMs: entry.realtimeMs,
    cause,
    rank: 'hint',
  };
}
