/** Slows down whoever fails again and again. A bucket a key, in a table that cannot grow without bound. */
import type { MonotonicClock } from '../../common/time/clock.ts';

/** How much is too much. */
export interface ThrottleLimits {
  /** Failures in a row that nobody minds. */
  burst: number;
  /** After these, one more each so many milliseconds. */
  refillMs: number;
  /** Keys remembered; beyond them the one that failed longest ago is forgotten. */
  maxKeys: number;
}

/** Failures by key. */
export class Throttle {
  readonly #clock: MonotonicClock;
  readonly #limits: ThrottleLimits;
  /** When the bucket of a key is empty again, by the monotonic clock; the latest failure last. */
  readonly #emptyAtMs = new Map<string, number>();

  constructor(clock: MonotonicClock, limits: ThrottleLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Milliseconds that the key has to wait before its next try; 0 when it may try now. */
  waitMs(key: string): number {
    const { burst, refillMs } = this.#limits;
    const nowMs = this.#clock.monotonicMs();
    const fullMs = (this.#emptyAtMs.get(key) ?? nowMs) - nowMs;
    return Math.max(0, fullMs - (burst - 1) * refillMs);
  }

  /** Counts a failure. */
  count(key: string): void {
    const { refillMs, maxKeys } = this.#limits;
    const nowMs = this.#clock.monotonicMs();
    const emptyAtMs = Math.max(this.#emptyAtMs.get(key) ?? nowMs, nowMs) + refillMs;
    this.#emptyAtMs.delete(key); // so that it comes last
    this.#emptyAtMs.set(key, emptyAtMs);
    for (const oldest of this.#emptyAtMs.keys()) {
      if (this.#emptyAtMs.size <= maxKeys) break;
      this.#emptyAtMs.delete(oldest);
    }
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#emptyAtMs.size;
  }
}
