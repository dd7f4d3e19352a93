/**
 * What peers confirmed, durably: an event per confirmation, found again by node, component and serial. A serial is
 * issued for one change only, so a confirmation can never be of an earlier one.
 */
import type { Component } from '../../common/names/names.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Store } from '../store/store.ts';

const KIND = 'peers.confirmed';
/** A report follows its confirmation within seconds; a node has a handful of components. */
const LOOK_BACK = 50;

/** What was confirmed. */
export interface Confirmation {
  node: string;
  component: Component;
  /** Serial of the serving certificate. */
  serial: string;
}

/** Remembers that the peers had no complaint. */
export async function confirm(store: Store, confirmation: Confirmation, summary: string): Promise<void> {
  await recordEvent(store, { kind: KIND, node: confirmation.node, message: `${prefixOf(confirmation)}${summary}` });
}

/** Whether the peers were asked and had no complaint. */
export async function isConfirmed(store: Store, confirmation: Confirmation): Promise<boolean> {
  const filter = { node: confirmation.node, kind: KIND };
  const { rows } = await store.listEvents(filter, { size: LOOK_BACK, after: undefined });
  return rows.some((row) => row.actor === 'server' && row.message.startsWith(prefixOf(confirmation)));
}

function prefixOf({ component, serial }: Confirmation): string {
  return `${component} with serial ${serial}: `;
}
