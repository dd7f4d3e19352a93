/** A clock that tests move by hand. */
import type { Clock } from './clock.ts';
import { Sleepers } from './sleepers-for-tests.ts';

/** Sleeps end only when the test advances the time past them. The two clocks have nothing in common but their pace. */
export class FakeClock implements Clock {
  #nowMs: number;
  #monotonicMs = 1_000_000;
  readonly #sleepers = new Sleepers();

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  /** Somebody sets the wall clock, forward or, with less than nothing, back; no time goes by. */
  step(ms: number): void {
    this.#nowMs += ms;
  }

  /** How many callers sleep now. */
  get sleeping(): number {
    return this.#sleepers.count;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#sleepers.sleepUntil(this.#monotonicMs + ms, signal);
  }

  /** Moves the time on and wakes who is due, in order, letting each run before the next. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    await settle();
    while (this.#sleepers.nextMs <= endMs) {
      this.#pass(Math.max(0, this.#sleepers.nextMs - this.#monotonicMs));
      this.#sleepers.wakeFirst();
      await settle();
    }
    this.#pass(endMs - this.#monotonicMs);
    await settle();
  }

  #pass(ms: number): void {
    this.#nowMs += ms;
    this.#monotonicMs += ms;
  }
}

/**
 * Lets pending promise callbacks run. Five turns are enough where all that is waited for comes from memory or from node:sqlite, which
 * answers at once. Who reads files or sockets between two sleeps has to be waited for by what it does, with until (until-for-tests.ts).
 */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
