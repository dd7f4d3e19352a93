/** Which node was granted what, and when: it outlives the permit, and the server. */
import { type Component, components } from '../../common/names/names.ts';
import type { MonotonicClock, WallClock } from '../../common/time/clock.ts';
import { SavedTimes } from '../../common/time/saved-times.ts';
import type { PermitGrant, Store } from '../store/store.ts';
import type { HeldPermit } from './permit.ts';

/** A change that is reported so long after its permit was granted says nothing of the rollout of today. */
export const LATELY_MS = 24 * 60 * 60_000;

/** What is remembered of permits: the newest of each node and component, so that it never grows beyond the fleet. */
export class Grants {
  readonly #store: Pick<Store, 'putGrants'>;
  readonly #rows = new Map<string, PermitGrant>();
  readonly #times: SavedTimes;

  /** @param known - what runs of the server before left in the store */
  constructor(store: Pick<Store, 'putGrants'>, clock: WallClock & MonotonicClock, known: readonly PermitGrant[]) {
    this.#store = store;
    this.#times = new SavedTimes(clock);
    for (const row of known) this.#take(row);
  }

  /** The newest of a component on a node. */
  get(node: string, component: Component): PermitGrant | undefined {
    return this.#rows.get(keyOf(node, component));
  }

  /** Remembers a permit: at once for decisions, durably when it resolves. */
  async note(permit: Omit<HeldPermit, 'ageMs' | 'expiresAtMs'>): Promise<void> {
    const { id: permitId, node, sinceMs: grantedAtMs, inShare } = permit;
    const news = permit.components.flatMap((component) => {
      const known = this.get(node, component);
      const same = known?.permitId === permitId;
      if (same && known.inShare === inShare) return [];
      return [{ node, component, permitId, grantedAtMs, inShare, stopped: same && known.stopped }];
    });
    if (news.length > 0) await this.#put(news);
  }

  /** Remembers that a failure under the permit stopped the rollout. */
  async noteStop(grant: PermitGrant): Promise<void> {
    await this.#put([{ ...grant, stopped: true }]);
  }

  /** What is known of a permit, also of one that a run of the server before gave. */
  of(node: string, permitId: string): Pick<HeldPermit, 'sinceMs' | 'inShare'> | undefined {
    const row = components.all.map((component) => this.get(node, component)).find((it) => it?.permitId === permitId);
    return row && { sinceMs: row.grantedAtMs, inShare: row.inShare };
  }

  /** How long ago a permit was granted first, in milliseconds; steps of the wall clock since then, or since the start, do not count. */
  ageMs({ node, sinceMs }: Pick<HeldPermit, 'node' | 'sinceMs'>): number {
    return this.#times.ageMs(timeOf(node, sinceMs), sinceMs);
  }

  #take(row: PermitGrant): void {
    this.#rows.set(keyOf(row.node, row.component), row);
    this.ageMs({ node: row.node, sinceMs: row.grantedAtMs });
  }

  async #put(rows: readonly PermitGrant[]): Promise<void> {
    for (const row of rows) this.#take(row);
    this.#times.keepOnly(new Set([...this.#rows.values()].map((row) => timeOf(row.node, row.grantedAtMs))));
    await this.#store.putGrants(rows);
  }
}

function keyOf(node: string, component: Component): string {
  return `${node} ${component}`;
}

/** An undo goes on with the age of the permit before it, under another identifier. */
function timeOf(node: string, sinceMs: number): string {
  return `${node} ${sinceMs}`;
}
