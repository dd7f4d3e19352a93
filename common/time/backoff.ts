/** Waiting longer after every failure, with jitter, so that a fleet does not come back all at once. */
import type { Clock } from './clock.ts';

/** Limits of the waiting, in milliseconds. */
export interface BackoffLimits {
  firstMs: number;
  maxMs: number;
}

/** The longest that a timer of Node.js can wait; beyond it a timer fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** Counts failures and waits for them. */
export class Backoff {
  #failures = 0;
  readonly #limits: BackoffLimits;
  readonly #random: () => number;

  constructor(limits: BackoffLimits, random: () => number = Math.random) {
    this.#limits = limits;
    this.#random = random;
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** After a success the next failure waits the first time again. */
  reset(): void {
    this.#failures = 0;
  }

  /**
   * Counts a failure and tells how long to wait: doubled each time up to the maximum, then 50 % to 100 % of that,
   * and never less than what the other side asked for. At most 24 days.
   */
  nextMs(atLeastMs = 0): number {
    const { firstMs, maxMs } = this.#limits;
    const fullMs = Math.min(maxMs, firstMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    return Math.min(LONGEST_MS, Math.max(atLeastMs, Math.round(fullMs * (0.5 + this.#random() / 2))));
  }

  /** Counts a failure and waits. Rejects with an AbortError when the signal fires. */
  async wait(clock: Clock, signal: AbortSignal, atLeastMs = 0): Promise<void> {
    await clock.sleep(this.nextMs(atLeastMs), signal);
  }
}
