/** Writing down what happened and what was decided. */
import type { EventDraft, Store } from '../store/store.ts';

/** An event; what is left out is empty, and the actor is the server. */
export type EventInput = Pick<EventDraft, 'kind' | 'message'> & Partial<EventDraft>;

/** Appends an event. */
export async function recordEvent(store: Pick<Store, 'appendEvent'>, event: EventInput): Promise<void> {
  await store.appendEvent({ actor: 'server', node: '', reason: '', source: '', ...event });
}
