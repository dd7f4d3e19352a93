/** The entries that are kept of a log that may be long: its start and its end. */
import type { JournalEntry } from './journal-entry.ts';

/** Most entries that are kept; past it the middle is left out. */
export const MOST_ENTRIES = 5000;

/** Keeps the first half and the last of more than {@link MOST_ENTRIES}: neither start nor end is lost to a talkative component. */
export class KeptEntries {
  readonly #first: JournalEntry[] = [];
  #last: JournalEntry[] = [];
  #dropped = 0;

  /** Takes the next entry. */
  add(entry: JournalEntry): void {
    const half = MOST_ENTRIES / 2;
    if (this.#first.length < half) this.#first.push(entry);
    else if (this.#last.push(entry) >= MOST_ENTRIES) {
      this.#dropped += this.#last.length - half;
      this.#last = this.#last.slice(-half);
    }
  }

  /** What is kept, in the order in which it came, and how many entries are not. */
  all(): { entries: JournalEntry[]; dropped: number } {
    const last = this.#last.slice(-MOST_ENTRIES / 2);
    return { entries: [...this.#first, ...last], dropped: this.#dropped + this.#last.length - last.length };
  }
}
