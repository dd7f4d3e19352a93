/** At the start of the daemon, and after a change that found no end: finishes or undoes what is left of it, and says so. */
import type { Component } from '../../common/names/names.ts';
import type { PermitDeps } from '../permit/acquire-permit.ts';
import { releasePermit } from '../permit/acquire-permit.ts';
import { showProcess } from '../process/show-process.ts';
import { wasRestarted } from '../report/change-report.ts';
import type { StatusBoard } from '../report/status-board.ts';
import { listChanges } from '../stage/change-journal.ts';
import type { ChangeRecord } from '../stage/change-record.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { INTERRUPTED, type Recovered, recover } from '../undo/recover.ts';
import type { UndoneChange } from '../undo/undo-change.ts';

/** Dependencies. */
export interface RecoverNodeDeps extends PermitDeps {
  transaction: TransactionDeps;
  board: StatusBoard;
  /** Writes the verdict on a change to disk; see RotateDeps. */
  noteFailed(change: Pick<ChangeRecord, 'fingerprint'>, reason: string): Promise<void>;
}

/** What a recovery led to. */
export interface Recovery {
  /** False while a change is neither kept nor undone: then no other may begin, and the recovery is to be tried again. */
  whole: boolean;
  /** Changes that were being undone, or were undone, already: there is a verdict on them, so they are not simply tried again. */
  judged: { fingerprint: string; reason: string }[];
}

/**
 * Recovers before anything else is done. It asks for no permit: the change had one when it was interrupted, and a node between two
 * states is worse than a restart that nobody coordinated.
 */
export async function recoverNode(deps: RecoverNodeDeps, signal: AbortSignal): Promise<Recovery> {
  const { transaction, board, log } = deps;
  const { records } = await listChanges(transaction.layout);
  const undone = records.filter(({ state }) => state.name === 'undoing' || state.name === 'undone');
  const withVerdict = new Set(undone.map(({ changeId }) => changeId));
  const recovery: Recovery = { whole: true, judged: [] };
  // an undo that was interrupted goes on for the reason that it began with, which may be no verdict either
  const isJudged = (changeId: string, reason: string) => withVerdict.has(changeId) && !reason.startsWith(INTERRUPTED);
  const onUndone = async ({ record, reason }: UndoneChange) => {
    if (isJudged(record.changeId, reason)) await deps.noteFailed(record, reason);
  };
  for (const recovered of await recover(transaction, signal, onUndone)) {
    if (recovered.outcome === 'unreadable') {
      log.error('a change on disk cannot be read', { path: recovered.path, detail: recovered.reason });
      recovery.whole = false;
      continue;
    }
    const { changeId, outcome, reason, components, permitId } = recovered;
    if (outcome === 'unfinished') {
      log.error('interrupted change not recovered yet', { changeId, error: recovered.error });
      recovery.whole = false;
    } else log.warn('interrupted change recovered', { changeId, state: outcome, detail: reason });
    const judged = outcome === 'undone' && isJudged(changeId, reason);
    if (judged) recovery.judged.push({ fingerprint: recovered.undone.record.fingerprint, reason });
    for (const component of components) {
      const status = statusOf(recovered, judged, board.get(component)?.restarts ?? 0, component);
      const down = recovered.outcome === 'undone' ? await whatIsDown(deps, recovered.undone, component, signal) : '';
      board.set(component, down === '' ? status : { ...status, state: 'failed', reason: `${reason}; ${down}` });
    }
    if (permitId !== null) await releasePermit(deps, { permitId });
  }
  return recovery;
}

/** An undo that was through before the agent died tells of its restarts no more: a unit that did not come back is seen by its last end. */
async function whatIsDown(
  { transaction }: RecoverNodeDeps,
  { record }: UndoneChange,
  component: Component,
  signal: AbortSignal,
): Promise<string> {
  const process = record.components.find((each) => each.component === component)?.process;
  if (process?.kind !== 'unit') return '';
  try {
    const { wanted, activeState, result, text } = await showProcess(transaction, process, signal);
    return wanted && activeState !== 'active' && result !== 'success' ? `${process.unit} is ${text}` : '';
  } catch {
    return ''; // the verdict must not be lost with the unit
  }
}

function statusOf(
  recovered: Exclude<Recovered, { outcome: 'unreadable' }>,
  judged: boolean,
  restarts: number,
  component: Component,
) {
  switch (recovered.outcome) {
    case 'kept':
    case 'discarded':
      return { state: 'detected', reason: '' } as const;
    case 'undone': {
      const restarted = wasRestarted(component, recovered.undone.units);
      // without a verdict it was merely interrupted, and is tried again
      const back = judged ? 'rolled-back' : 'detected';
      return {
        state: recovered.undone.ok ? back : 'failed',
        reason: recovered.reason,
        restarts: restarts + (restarted ? 1 : 0),
      } as const;
    }
    case 'unfinished':
      return { state: 'failed', reason: `could not be put back: ${recovered.reason}` } as const;
  }
}
