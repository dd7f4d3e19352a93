/** What this node's journals said lately of failures, kept in memory to answer questions about other nodes. */
import type { Component } from '../../common/names/names.ts';
import { LINE_LENGTH } from './evidence-line.ts';
import type { Finding } from './finding.ts';
import type { JournalEntry } from './journal-entry.ts';

/** A failure that was read. */
export interface LoggedFinding {
  /** Whose journal. */
  speaker: Component;
  finding: Finding;
  entry: JournalEntry;
}

/** Most findings that are kept; the oldest go first. */
export const MOST_FINDINGS = 2000;

/** A ring of findings. */
export class FindingLog {
  readonly #ring: LoggedFinding[] = [];
  #next = 0;

  /** Keeps a failure, of its line as much as evidence shows; other findings are not kept. */
  add(logged: LoggedFinding): void {
    if (logged.finding.role !== 'failure') return;
    const entry = { ...logged.entry, message: logged.entry.message.slice(0, LINE_LENGTH) };
    // a clone, since parts of a text keep the whole of it in memory
    this.#ring[this.#next] = structuredClone({ ...logged, entry });
    this.#next = (this.#next + 1) % MOST_FINDINGS;
  }

  /** The findings logged at or after a time (milliseconds since the epoch, the node's clock), oldest first. */
  since(sinceMs: number): LoggedFinding[] {
    const inOrder = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
    return inOrder.filter(({ entry }) => entry.realtimeMs >= sinceMs);
  }
}
