/** A clock for a whole fleet in one process: its time passes only while nothing is left to do at the time that it shows. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../common/time/clock.ts';
import { Sleepers } from '../../common/time/sleepers-for-tests.ts';

/** A clock that goes as fast as the others, and may be wrong. */
export interface MachineClock extends Clock {
  aheadMs: number;
}

/** How long something is waited for. */
export interface Patience {
  /** By this clock; default half an hour. */
  limitMs?: number;
  /** By this clock: how often it is looked whether it is so; default each second. */
  everyMs?: number;
}

/** Sleepers that are due within this time wake together, so that fifty heartbeats are one step; milliseconds. */
const GRAIN_MS = 1000;
/** So many turns of the event loop without an event mean that nothing is under way; a message on loopback needs one. */
const QUIET_TURNS = 6;

/**
 * Sockets, files and keys take real time, of which a fake clock knows nothing. This one moves on to the next sleeper when the event loop
 * has nothing more to do, so that waits of minutes take as long as the work in them.
 */
export class IdleClock implements Clock {
  #nowMs: number;
  readonly #startedAtMs: number;
  readonly #sleepers = new Sleepers();
  /** Real milliseconds that a second takes at least, for what waits by real timers: gRPC's own pause between two dials. */
  secondTakesMs = 0;

  /** @param startMs in the past by more than the test will take: TLS stacks compare certificates with the real time */
  constructor(startMs: number) {
    this.#nowMs = startMs;
    this.#startedAtMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs - this.#startedAtMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#sleepers.sleepUntil(this.#nowMs + ms, signal);
  }

  /** The clock of a machine that is ahead of this one, or behind; it may be set. */
  ofMachine(aheadMs = 0): MachineClock {
    const machine: MachineClock = {
      aheadMs,
      nowMs: () => this.#nowMs + machine.aheadMs,
      monotonicMs: () => this.monotonicMs(),
      sleep: (ms, signal) => this.sleep(ms, signal),
    };
    return machine;
  }

  /** Lets the time pass until it is so. Fails when it is not so in time. */
  async until(
    what: string,
    isSo: () => boolean | Promise<boolean>,
    { limitMs = 30 * 60_000, everyMs = 1000 }: Patience = {},
  ): Promise<void> {
    const endMs = this.#nowMs + limitMs;
    for (;;) {
      await quiet();
      if (await isSo()) return;
      if (this.#nowMs >= endMs) throw new Error(`it did not happen within ${limitMs / 1000} s: ${what}`);
      await this.#passQuietly(Math.min(everyMs, endMs - this.#nowMs));
    }
  }

  /** Lets this time pass. */
  async pass(ms: number): Promise<void> {
    await this.#passQuietly(ms);
    await quiet();
  }

  async #passQuietly(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    while (this.#nowMs < endMs) {
      await quiet();
      const beforeMs = this.#nowMs;
      this.#step(endMs);
      if (this.secondTakesMs > 0) await delay(((this.#nowMs - beforeMs) / 1000) * this.secondTakesMs);
    }
  }

  /** On to the next sleepers, or to the end. */
  #step(endMs: number): void {
    const grainMs = Math.ceil(Math.max(this.#sleepers.nextMs, this.#nowMs) / GRAIN_MS) * GRAIN_MS;
    this.#nowMs = Math.min(endMs, grainMs);
    this.#sleepers.wakeDue(this.#nowMs);
  }
}

/** Resolves when the event loop has had nothing to do for some turns, and no file is being read or written. */
export async function quiet(): Promise<void> {
  let events = -1;
  for (let still = 0; still < QUIET_TURNS; still++) {
    await new Promise((resolve) => setImmediate(resolve));
    const seen = performance.nodeTiming.uvMetricsInfo.events;
    if (seen !== events || process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq'))) still = -1;
    events = seen;
  }
}
