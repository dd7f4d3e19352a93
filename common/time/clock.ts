/** Time, so that tests can hold it. */
import { setTimeout as delay } from 'node:timers/promises';

/** Where the time comes from. */
export interface Clock {
  /** Milliseconds since the epoch, wall clock. */
  nowMs(): number;
  /** Resolves after that many milliseconds; rejects with an AbortError when the signal fires. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The real clock. Its timers keep the process alive. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  async sleep(ms, signal) {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  },
};
