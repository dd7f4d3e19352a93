/** How old things are that were written down by the wall clock, in files and in the store, and how long they still count. */
import { type MonotonicClock, monotonicOf, type WallClock } from './clock.ts';

/**
 * Remembers when each of them was, by the monotonic clock, from the first time on that it is asked: from then on no step of the wall
 * clock makes it older or younger. What was written down in the future, since the wall clock was set back, counts as now: it must not
 * count for longer than what happens now.
 */
export class SavedTimes {
  readonly #clock: WallClock & MonotonicClock;
  readonly #known = new Map<string, { savedAtMs: number; monotonicMs: number }>();

  constructor(clock: WallClock & MonotonicClock) {
    this.#clock = clock;
  }

  /** How long ago that was, in milliseconds; to be asked too when it is written down. */
  ageMs(key: string, savedAtMs: number): number {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#known.get(key);
    if (known?.savedAtMs === savedAtMs) return nowMs - known.monotonicMs;
    const monotonicMs = monotonicOf(this.#clock, savedAtMs);
    this.#known.set(key, { savedAtMs, monotonicMs });
    return nowMs - monotonicMs;
  }

  /** Forgets all others. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#known.keys()) if (!keys.has(key)) this.#known.delete(key);
  }
}
