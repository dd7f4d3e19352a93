/**
 * Remembers from which addresses our own probes called. Those without a good certificate leave lines in the journal of the
 * component that refused them, which look like a peer's complaint; by the address they are known for ours.
 */
import { type MonotonicClock, monotonicOf, type WallClock } from '../../common/time/clock.ts';
import type { Probe } from './probe.ts';

/** Addresses that are remembered; the oldest go first. */
const MOST_CALLS = 1000;

/** A server may write of a call for so long after it ended, and journald note it; milliseconds. */
const WRITTEN_MS = 3000;
const ADDRESS = /(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\]):\d{1,5}/g;

/** The memory. One for the life of the daemon. */
export class OwnCalls {
  readonly #addresses = new Set<string>();
  readonly #clock: WallClock & MonotonicClock;
  /** When the last call ended, by the monotonic clock. */
  #endedMs = Number.NEGATIVE_INFINITY;
  #underWay = 0;

  constructor(clock: WallClock & MonotonicClock) {
    this.#clock = clock;
  }

  /** The same probe, remembered. */
  remembering(probe: Probe): Probe {
    return async (request) => {
      this.#underWay++;
      try {
        return await probe({ ...request, onConnect: (from) => this.#add(from) });
      } finally {
        this.#underWay--;
        this.#endedMs = this.#clock.monotonicMs();
      }
    };
  }

  /**
   * True for a line that names no caller, as an API server's "Unable to authenticate the request", and was written while one of our probes
   * called somebody: an API server is shown a certificate of another CA in each proof. Another caller's line may be among them.
   *
   * @param atMs when it was written, a moment ago; milliseconds since the epoch
   */
  mayHaveCaused(line: string, atMs: number): boolean {
    if (line.match(ADDRESS) !== null) return false;
    return this.#underWay > 0 || monotonicOf(this.#clock, atMs) <= this.#endedMs + WRITTEN_MS;
  }

  /** True for a journal line about the other end of one of our probes ("127.0.0.1:43210"). */
  caused(line: string): boolean {
    for (const [address] of line.matchAll(ADDRESS)) {
      if (this.#addresses.has(address)) return true;
    }
    return false;
  }

  #add(address: string): void {
    this.#addresses.delete(address);
    this.#addresses.add(address);
    const [oldest] = this.#addresses;
    if (this.#addresses.size > MOST_CALLS && oldest !== undefined) this.#addresses.delete(oldest);
  }
}
