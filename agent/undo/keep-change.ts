/** Ends a change that was verified. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../../common/files/durable.ts';
import { advanceChange, forgetChange, freeReserve, loadChange } from '../stage/change-journal.ts';
import { type ChangeRecord, type ComponentRecord, permitOf } from '../stage/change-record.ts';
import { absent } from '../stage/file-state.ts';
import type { TransactionDeps } from '../stage/transaction.ts';

/**
 * Keeps a change for good: from here on there is no undo. Old versions go, but for the previous one; then the copies of the files
 * before and the journal. May be repeated after a crash.
 *
 * @throws AppError 'internal' unless the change is verifying or kept
 */
export async function keepChange(
  deps: Pick<TransactionDeps, 'layout' | 'log' | 'checkpoint'>,
  change: Pick<ChangeRecord, 'changeId'>,
): Promise<void> {
  const { layout } = deps;
  let record = await loadChange(layout, change.changeId);
  if (record.state.name !== 'kept') {
    await freeReserve(layout, record.changeId);
    record = await advanceChange(layout, record, { name: 'kept', permitId: permitOf(record.state) ?? '' });
    await deps.checkpoint('kept');
  }
  for (const component of record.components) await prune(component);
  await deps.checkpoint('old-versions-removed');
  await forgetChange(layout, record.changeId);
  deps.log.info('change kept', { changeId: record.changeId });
}

/** Removes versions other than the new one and the one before. */
async function prune({ folder, oldTarget, newTarget }: ComponentRecord): Promise<void> {
  const entries = (await readdir(folder, { withFileTypes: true }).catch(absent)) ?? [];
  for (const entry of entries) {
    const isVersion = entry.isDirectory() && /^v[0-9]/.test(entry.name);
    if (!isVersion || entry.name === oldTarget || entry.name === newTarget) continue;
    await rm(join(folder, entry.name), { recursive: true, force: true });
  }
  if (entries.length > 0) await syncFolder(folder);
}
