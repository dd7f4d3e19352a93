/** Time, so that tests can hold it: what the clock on the wall says, and how long things take, which are two clocks. */
import { setTimeout as delay } from 'node:timers/promises';

/** What certificates, records and people mean by a time. Somebody may set it, by hours and in either direction, at any moment. */
export interface WallClock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
}

/** What waits, leases, ages and limits are measured by: it only goes on, at the pace of time, whatever is done to the wall clock. */
export interface MonotonicClock {
  /** Whole milliseconds since a moment that means nothing; only the difference of two readings in one process does. */
  monotonicMs(): number;
}

/** Where the time comes from. */
export interface Clock extends WallClock, MonotonicClock {
  /** Resolves after that many milliseconds, whatever the wall clock does; rejects with an AbortError when the signal fires. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The real clock. Its timers keep the process alive. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => Math.floor(performance.now()),
  async sleep(ms, signal) {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  },
};

/**
 * When something was by the monotonic clock, that was written down by the wall clock a moment ago. The future, since the wall clock was
 * set back meanwhile, is now.
 */
export function monotonicOf(clock: WallClock & MonotonicClock, writtenAtMs: number): number {
  return clock.monotonicMs() - Math.max(0, clock.nowMs() - writtenAtMs);
}

/**
 * Tells the wall clock's time as of this moment, which from then on goes by the monotonic clock: for times that one process tells
 * another, so that both mean the same moment whatever is done to a wall clock between two messages. Milliseconds since the epoch.
 */
export function steadyTime(clock: WallClock & MonotonicClock): () => number {
  const startMs = clock.nowMs() - clock.monotonicMs();
  return () => startMs + clock.monotonicMs();
}
