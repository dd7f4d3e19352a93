/** RemoveNode: a node that is dead, or hostile, is none of the fleet any more, and nothing waits for it. */
import { AppError } from '../../common/errors/app-error.ts';
import type { InTurn } from '../enrol/in-turn.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Coordinator } from '../permit/coordinator.ts';
import type { By, Rotation } from '../rotation/rotation.ts';
import type { Sessions } from '../session/sessions.ts';
import type { Store } from '../store/store.ts';
import type { FleetState } from './fleet-state.ts';
import { quorumWarning } from './quorum-warning.ts';

/** What the removal needs. */
export interface RemoveNodeDeps {
  store: Pick<Store, 'getNode' | 'updateNode' | 'listTokens' | 'revokeToken' | 'appendEvent'>;
  fleet: Pick<FleetState, 'noteNode' | 'keepOnly' | 'get' | 'components'>;
  sessions: Pick<Sessions, 'end'>;
  permits: Pick<Coordinator, 'list' | 'release'>;
  rotation: Pick<Rotation, 'check'>;
  /** Tells the agents. */
  pushSettings: () => Promise<void>;
  /** Shared with enrolment: one that is under way must not write the node back. */
  inTurn: InTurn;
}

const TOKENS_AT_ONCE = 1000;

/**
 * Takes a node out of the fleet. For one that is removed already it does again what a crash may have left undone. The record
 * stays, so that the name comes back only as enrol-node.ts says; its certificates stay valid until they end.
 *
 * @returns what the operator has to mind, sentences; of the quorum where it ran etcd
 * @throws AppError node-unknown
 */
export async function removeNode(name: string, by: By, deps: RemoveNodeDeps): Promise<string[]> {
  const { store, fleet, sessions, permits } = deps;
  const quorum = await deps.inTurn(async () => {
    const node = await store.getNode(name);
    if (node === undefined) {
      throw new AppError('node-unknown', `there is no node ${name}; "kube-mtls nodes" lists them`);
    }
    const warning = quorumWarning(name, fleet);
    // 1. From here on it is refused, also after a restart.
    if (!node.revoked) {
      await revokeTokensFor(name, by, store);
      await store.updateNode(name, { revoked: true });
      const removed = `${name} is removed from the fleet; certificates that it has stay valid until they end`;
      const message = warning === '' ? removed : `${removed}; ${warning}`;
      await recordEvent(store, { kind: 'node.removed', ...by, node: name, message });
    }
    // 2. What it said before counts no more, and it says nothing more.
    fleet.noteNode({ ...node, revoked: true });
    sessions.end(name, new AppError('node-revoked', `an administrator removed ${name}`));
    await fleet.keepOnly(name, []);
    for (const permit of permits.list()) if (permit.node === name) await permits.release(name, permit.id);
    return warning;
  });
  // 3. What waited for it goes on.
  await deps.pushSettings();
  await deps.rotation.check();
  return quorum === '' ? [] : [quorum];
}

/** A token from before, which the node may know, must not be the operator's word that it may come back. */
async function revokeTokensFor(name: string, by: By, store: RemoveNodeDeps['store']): Promise<void> {
  let after: string | undefined;
  do {
    const { rows, next } = await store.listTokens({ size: TOKENS_AT_ONCE, after });
    for (const { id, revoked, allowReenroll, nodeNames } of rows) {
      if (revoked || !allowReenroll || !nodeNames.includes(name)) continue;
      await store.revokeToken(id);
      const message = `token ${id} was revoked: it would have let ${name} come back, which is being removed`;
      await recordEvent(store, { kind: 'token.revoked', ...by, message });
    }
    after = next;
  } while (after !== undefined);
}
