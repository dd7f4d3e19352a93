/** For tests that write times as plain numbers: both clocks say the same, later than any of them, so that each time is its own moment. */
import type { MonotonicClock, WallClock } from './clock.ts';

/** A clock that stands. */
export const oneClock: WallClock & MonotonicClock = {
  nowMs: () => Number.MAX_SAFE_INTEGER,
  monotonicMs: () => Number.MAX_SAFE_INTEGER,
};
