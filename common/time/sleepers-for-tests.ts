/** Those who sleep by a clock that a test moves. */
interface Sleeper {
  dueMs: number;
  wake(): void;
}

/** Whom to wake, and when. */
export class Sleepers {
  readonly #all = new Set<Sleeper>();

  /** How many sleep now. */
  get count(): number {
    return this.#all.size;
  }

  /** When the first of them is due; infinity when nobody sleeps. */
  get nextMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { dueMs } of this.#all) nextMs = Math.min(nextMs, dueMs);
    return nextMs;
  }

  /** Sleeps until it is woken. Rejects with AbortError when the signal fires. */
  sleepUntil(dueMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#all.delete(sleeper);
        reject(new DOMException('aborted', 'AbortError'));
      };
      const sleeper: Sleeper = {
        dueMs,
        wake: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      if (signal?.aborted) return abort();
      signal?.addEventListener('abort', abort, { once: true });
      this.#all.add(sleeper);
    });
  }

  /** Wakes those that are due by then, the first first. */
  wakeDue(byMs: number): void {
    const due = [...this.#all].filter(({ dueMs }) => dueMs <= byMs).sort((one, other) => one.dueMs - other.dueMs);
    for (const sleeper of due) this.#wake(sleeper);
  }

  /** Wakes the one that has slept longest of those that are due first. */
  wakeFirst(): void {
    const { nextMs } = this;
    const first = [...this.#all].find(({ dueMs }) => dueMs === nextMs);
    if (first !== undefined) this.#wake(first);
  }

  #wake(sleeper: Sleeper): void {
    this.#all.delete(sleeper);
    sleeper.wake();
  }
}
