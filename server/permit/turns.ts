/** Whose turn it is for a place in the share of kubelets: who asks again at once does not have it before those who wait. */
import type { Component } from '../../common/names/names.ts';
import type { MonotonicClock } from '../../common/time/clock.ts';

/** Who asks is expected again in twice the time that it was told to wait, and so much. */
const LATE_MS = 10_000;

/** Remembers who had a place and who waits for one; nodes that had none lately go as they come, so that no place stays empty. */
export class Turns {
  readonly #clock: MonotonicClock;
  /** How long a turn counts. */
  readonly #memoryMs: number;
  /** When a node got its place last, by component. */
  readonly #had = new Map<Component, Map<string, number>>();
  /** Until when a node that waits is expected to ask again, by component. */
  readonly #waiting = new Map<Component, Map<string, number>>();

  constructor(clock: MonotonicClock, memoryMs: number) {
    this.#clock = clock;
    this.#memoryMs = memoryMs;
  }

  /** The node got a place for the components. */
  began(node: string, components: readonly Component[]): void {
    for (const component of components) {
      of(this.#had, component).set(node, this.#clock.monotonicMs());
      of(this.#waiting, component).delete(node);
    }
  }

  /** The node was refused a place and told to ask again in that time. */
  waits(node: string, components: readonly Component[], retryAfterMs: number): void {
    const untilMs = this.#clock.monotonicMs() + 2 * retryAfterMs + LATE_MS;
    for (const component of components) of(this.#waiting, component).set(node, untilMs);
  }

  /** A node that waits for the component and had its turn before this one's; undefined when this one may go. */
  before(node: string, component: Component): string | undefined {
    const nowMs = this.#clock.monotonicMs();
    const had = of(this.#had, component);
    const ownMs = had.get(node);
    if (ownMs === undefined || nowMs - ownMs > this.#memoryMs) return undefined;
    const waiting = of(this.#waiting, component);
    for (const [other, untilMs] of waiting) {
      if (untilMs < nowMs) waiting.delete(other);
      else if (other !== node && (had.get(other) ?? Number.NEGATIVE_INFINITY) < ownMs) return other;
    }
    return undefined;
  }
}

function of<K, V>(maps: Map<K, Map<string, V>>, key: K): Map<string, V> {
  const known = maps.get(key);
  if (known !== undefined) return known;
  const fresh = new Map<string, V>();
  maps.set(key, fresh);
  return fresh;
}
