/** A clock that tests move by hand. */
import type { Clock } from './clock.ts';
import { Sleepers } from './sleepers-for-tests.ts';

/** Sleeps end only when the test advances the time past them. */
export class FakeClock implements Clock {
  #nowMs: number;
  readonly #sleepers = new Sleepers();

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** How many callers sleep now. */
  get sleeping(): number {
    return this.#sleepers.count;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#sleepers.sleepUntil(this.#nowMs + ms, signal);
  }

  /** Moves the time on and wakes who is due, in order, letting each run before the next. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    while (this.#sleepers.nextMs <= endMs) {
      this.#nowMs = Math.max(this.#nowMs, this.#sleepers.nextMs);
      this.#sleepers.wakeFirst();
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
