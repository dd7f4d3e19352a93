/** At the start of the daemon: finishes or undoes what an earlier life of it left, and says so. */
import type { Component } from '../../common/names/names.ts';
import type { PermitDeps } from '../permit/acquire-permit.ts';
import { releasePermit } from '../permit/acquire-permit.ts';
import type { StatusBoard } from '../report/status-board.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { type Recovered, recover } from '../undo/recover.ts';

/** Dependencies. */
export interface RecoverNodeDeps extends PermitDeps {
  transaction: TransactionDeps;
  board: StatusBoard;
}

/**
 * Recovers before anything else is done. It asks for no permit: the change had one when it was interrupted, and a node between two
 * states is worse than a restart that nobody coordinated.
 */
export async function recoverNode(deps: RecoverNodeDeps, signal: AbortSignal): Promise<void> {
  const { transaction, board, log } = deps;
  for (const recovered of await recover(transaction, signal)) {
    if (recovered.outcome === 'unreadable') {
      log.error('a change on disk cannot be read', { path: recovered.path, detail: recovered.reason });
      continue;
    }
    const { changeId, outcome, reason, components, permitId } = recovered;
    log.warn('interrupted change recovered', { changeId, state: outcome, detail: reason });
    for (const component of components)
      board.set(component, statusOf(recovered, board.get(component)?.restarts ?? 0, component));
    if (permitId !== null) await releasePermit(deps, { permitId });
  }
}

function statusOf(recovered: Exclude<Recovered, { outcome: 'unreadable' }>, restarts: number, component: Component) {
  switch (recovered.outcome) {
    case 'kept':
    case 'discarded':
      return { state: 'detected', reason: '' } as const;
    case 'undone': {
      // not a verdict on the change: it was interrupted, and is tried again
      const restarted = recovered.undone.units.some((unit) => unit.component === component);
      return {
        state: recovered.undone.ok ? 'detected' : 'failed',
        reason: recovered.reason,
        restarts: restarts + (restarted ? 1 : 0),
      } as const;
    }
    case 'unfinished':
      return { state: 'failed', reason: `could not be put back: ${recovered.reason}` } as const;
  }
}
