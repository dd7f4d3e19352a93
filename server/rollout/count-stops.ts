/** Who stops the rollout often. */
import type { Store } from '../store/store.ts';

const DAY_MS = 24 * 60 * 60_000;
/** More than anybody resumes in a day. */
const MOST_EVENTS = 200;

/** How often failures of each node stopped the rollout within the last day, by the events; what operators paused is none. */
export async function countStops(store: Pick<Store, 'listEvents'>, nowMs: number): Promise<Map<string, number>> {
  const { rows } = await store.listEvents({ kind: 'rollout.paused' }, { size: MOST_EVENTS, after: undefined });
  const counts = new Map<string, number>();
  for (const { node, atMs } of rows) {
    if (node !== '' && nowMs - atMs <= DAY_MS) counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  return counts;
}
