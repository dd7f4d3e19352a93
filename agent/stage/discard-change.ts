/** Takes back a change of which nothing was switched yet. */

import { AppError } from '../../common/errors/app-error.ts';
import { advanceChange, forgetChange, freeReserve, loadChange } from './change-journal.ts';
import { type ChangeRecord, isBeforeSwitch, permitOf } from './change-record.ts';
import type { TransactionDeps } from './transaction.ts';
import { removeFolders, removeVersion } from './version-folder.ts';

/**
 * Removes what was staged, keys included, then the journal, which is read anew. May be repeated after a crash.
 *
 * @param reason - why, for a person
 * @throws AppError 'internal' when something was switched already
 */
export async function discardChange(
  deps: Pick<TransactionDeps, 'layout' | 'checkpoint'>,
  change: Pick<ChangeRecord, 'changeId'>,
  reason: string,
): Promise<void> {
  const { layout } = deps;
  const record = await loadChange(layout, change.changeId);
  const { state } = record;
  if (state.name !== 'discarded') {
    if (!isBeforeSwitch(state)) {
      throw new AppError('internal', `change ${record.changeId} is ${state.name}: it has to be undone, not discarded`);
    }
    await freeReserve(layout, record.changeId);
    for (const { folder, newTarget } of record.components) await removeVersion(folder, newTarget);
    await removeFolders(record.newFolders);
    await deps.checkpoint('staging-removed');
    await advanceChange(layout, record, { name: 'discarded', permitId: permitOf(state), reason });
    await deps.checkpoint('discarded');
  }
  await forgetChange(layout, record.changeId);
}
