/** A clock that tests move by hand. */
import type { Clock } from './clock.ts';

interface Sleeper {
  dueMs: number;
  wake(): void;
}

/** Sleeps end only when the test advances the time past them. */
export class FakeClock implements Clock {
  #nowMs: number;
  #sleepers: Sleeper[] = [];

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** How many callers sleep now. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(new DOMException('aborted', 'AbortError'));
      };
      const sleeper: Sleeper = {
        dueMs: this.#nowMs + ms,
        wake: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      if (signal?.aborted) return abort();
      signal?.addEventListener('abort', abort, { once: true });
      this.#sleepers.push(sleeper);
    });
  }

  /** Moves the time on and wakes who is due, in order, letting each run before the next. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const due = this.#sleepers.filter((sleeper) => sleeper.dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (due === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, due.dueMs);
      this.#sleepers = this.#sleepers.filter((other) => other !== due);
      due.wake();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }
}

/**
 * Lets pending promise callbacks run. Five turns are enough where all that is waited for comes from memory or from node:sqlite, which
 * answers at once. Who reads files or sockets between two sleeps has to be waited for by what it does, with until (until-for-tests.ts).
 */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
