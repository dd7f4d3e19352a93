/** What this node's journals said lately of failures, kept in memory to answer questions about other nodes. */
import type { Component } from '../../common/names/names.ts';
import { type MonotonicClock, monotonicOf, type WallClock } from '../../common/time/clock.ts';
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

/** One that is kept. */
export interface KeptFinding extends LoggedFinding {
  /** When it was written, by the monotonic clock. */
  writtenMs: number;
}

/** Most findings that are kept; the oldest go first. */
export const MOST_FINDINGS = 2000;

/** A ring of findings. */
export class FindingLog {
  readonly #clock: WallClock & MonotonicClock;
  readonly #ring: KeptFinding[] = [];
  #next = 0;

  constructor(clock: WallClock & MonotonicClock) {
    this.#clock = clock;
  }

  /** Keeps a failure that was written a moment ago, of its line as much as evidence shows; other findings are not kept. */
  add(logged: LoggedFinding): void {
    if (logged.finding.role !== 'failure') return;
    const entry = { ...logged.entry, message: logged.entry.message.slice(0, LINE_LENGTH) };
    const writtenMs = monotonicOf(this.#clock, logged.entry.realtimeMs);
    // a clone, since parts of a text keep the whole of it in memory
    this.#ring[this.#next] = structuredClone({ ...logged, entry, writtenMs });
    this.#next = (this.#next + 1) % MOST_FINDINGS;
  }

  /** The findings that were written at or after a moment of the monotonic clock, oldest first. */
  since(sinceMs: number): KeptFinding[] {
    const inOrder = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
    return inOrder.filter(({ writtenMs }) => writtenMs >= sinceMs);
  }
}
