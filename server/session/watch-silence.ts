/** A missing report is a report: nodes that should have been heard of and were not. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Clock } from '../../common/time/clock.ts';
import { SavedTimes } from '../../common/time/saved-times.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Store } from '../store/store.ts';
import type { Sessions } from './sessions.ts';

/** Who is there and who is not, as events tell it. */
export interface Presence {
  /** A node said hello. */
  came(node: string, address: string): Promise<void>;
  /** Looks for nodes that were not heard of for three heartbeats. */
  look(): Promise<void>;
}

/** What it needs. */
export interface PresenceDeps {
  store: Store;
  clock: Clock;
  sessions: Pick<Sessions, 'heardMs' | 'end'>;
  heartbeatMs: number;
}

const MISSED_HEARTBEATS = 3;

/** Makes the watch; before it was told anything, the last event of a node says whether it was there. */
export function createPresence({ store, clock, sessions, heartbeatMs }: PresenceDeps): Presence {
  const startedMs = clock.monotonicMs(); // nodes get their time to come back after a restart of the server
  const seen = new SavedTimes(clock);
  const patienceMs = MISSED_HEARTBEATS * heartbeatMs;

  async function lastKind(node: string): Promise<string> {
    const { rows } = await store.listEvents({ node, kind: 'node' }, { size: 1, after: undefined });
    return rows[0]?.kind ?? '';
  }

  return {
    async came(node, address) {
      if ((await lastKind(node)) === 'node.online') return;
      const message = `${node} is connected`;
      await recordEvent(store, { kind: 'node.online', actor: `node/${node}`, node, message, source: address });
    },

    async look() {
      const nowMs = clock.monotonicMs();
      for (const node of await store.listNodes()) {
        const heardMs = sessions.heardMs(node.name) ?? nowMs - seen.ageMs(node.name, node.lastSeenAtMs);
        if (node.revoked || nowMs - Math.max(heardMs, startedMs) <= patienceMs) continue;
        sessions.end(node.name, new AppError('deadline', 'no heartbeat came'));
        if ((await lastKind(node.name)) === 'node.offline') continue;
        const message = `${node.name} was not heard of since ${new Date(node.lastSeenAtMs).toISOString()}`;
        await recordEvent(store, { kind: 'node.offline', node: node.name, message });
      }
    },
  };
}
