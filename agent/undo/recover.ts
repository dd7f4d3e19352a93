/** Brings the node to a whole state when the agent starts: every change that was interrupted is finished, undone or discarded. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import { forgetChange, listChanges, sweepChanges } from '../stage/change-journal.ts';
import { type ChangeRecord, permitOf } from '../stage/change-record.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { keepChange } from './keep-change.ts';
import { type UndoneChange, undoChange } from './undo-change.ts';

/** How the reason begins when nothing but the end of the agent was wrong with a change. */
export const INTERRUPTED = 'the agent was stopped while the change was';

/**
 * What became of one change.
 *
 * - `discarded`: nothing had been switched.
 * - `undone`: the node is as before; `undone` tells of the restarts (none when it was undone before this start).
 * - `kept`: it had been verified; only the cleaning was left.
 * - `unfinished`: the recovery itself failed and is to be tried again; no new change begins before.
 * - `unreadable`: its journal is named in `reason` and left alone; no new change begins before an operator moved it.
 */
export type Recovered =
  | {
      outcome: 'discarded' | 'kept';
      changeId: string;
      components: Component[];
      permitId: string | null;
      reason: string;
    }
  | {
      outcome: 'undone';
      changeId: string;
      components: Component[];
      permitId: string | null;
      reason: string;
      undone: UndoneChange;
    }
  | {
      outcome: 'unfinished';
      changeId: string;
      components: Component[];
      permitId: string | null;
      reason: string;
      error: AppError;
    }
  | { outcome: 'unreadable'; path: string; reason: string };

/**
 * Recovers every change on disk, the newest first, and removes the journals of those that ended.
 *
 * @param onUndone - told of a change that is undone while its journal is still there: what has to outlive the next crash is written here
 * @throws AppError 'unavailable' when the signal fires
 */
export async function recover(
  deps: TransactionDeps,
  signal: AbortSignal,
  onUndone: (undone: UndoneChange) => Promise<void> = async () => {},
): Promise<Recovered[]> {
  await sweepChanges(deps.layout);
  const { records, problems } = await listChanges(deps.layout);
  const recovered: Recovered[] = problems.map(({ path, message }) => ({
    outcome: 'unreadable',
    path,
    reason: message,
  }));
  for (const record of records.toReversed()) {
    const about = {
      changeId: record.changeId,
      components: record.components.map((each) => each.component),
      permitId: permitOf(record.state),
    };
    try {
      recovered.push({ ...about, ...(await recoverChange(deps, record, signal, onUndone)) });
    } catch (error) {
      if (signal.aborted) throw AppError.from(error);
      const failure = AppError.from(error);
      recovered.push({ ...about, outcome: 'unfinished', reason: failure.message, error: failure });
    }
  }
  return recovered;
}

async function recoverChange(
  deps: TransactionDeps,
  record: ChangeRecord,
  signal: AbortSignal,
  onUndone: (undone: UndoneChange) => Promise<void>,
) {
  const { name } = record.state;
  if (name === 'kept') {
    await keepChange(deps, record);
    return { outcome: 'kept', reason: 'it had been verified' } as const;
  }
  const undone = await undoChange(deps, record, `${INTERRUPTED} ${name}`, signal);
  if (undone.outcome === 'discarded') return { outcome: 'discarded', reason: undone.reason } as const;
  await onUndone(undone);
  await forgetChange(deps.layout, record.changeId);
  return { outcome: 'undone', reason: undone.reason, undone } as const;
}
