/**
 * Remembers from which addresses our own probes called. Those without a good certificate leave lines in the journal of the
 * component that refused them, which look like a peer's complaint; by the address they are known for ours.
 */
import type { Probe } from './probe.ts';

/** Addresses that are remembered; the oldest go first. */
const MOST_CALLS = 1000;

/** The memory. One for the life of the daemon. */
export class OwnCalls {
  readonly #addresses = new Set<string>();

  /** The same probe, remembered. */
  remembering(probe: Probe): Probe {
    return (request) => probe({ ...request, onConnect: (from) => this.#add(from) });
  }

  /** True for a journal line about the other end of one of our probes ("127.0.0.1:43210"). */
  caused(line: string): boolean {
    for (const [address] of line.matchAll(/(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\]):\d{1,5}/g)) {
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
