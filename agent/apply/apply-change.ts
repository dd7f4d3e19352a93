/** Switches a node to a staged change: links and files, but no process yet. */
import { dirname } from 'node:path';
import { AppError } from '../../common/errors/app-error.ts';
import { linkTarget, makeFolder, switchSymlink, writeFileDurably } from '../../common/files/durable.ts';
import { runChecked } from '../../common/run/command.ts';
import type { Change, ComponentChange } from '../plan/change.ts';
import { showProcess } from '../process/show-process.ts';
import { advanceChange } from '../stage/change-journal.ts';
import { type ChangeRecord, withComponent } from '../stage/change-record.ts';
import { inspectFile, isState } from '../stage/file-state.ts';
import { nudgeWatchers } from '../stage/nudge-watchers.ts';
import type { StagedChange } from '../stage/stage-change.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { currentLink } from '../stage/version-folder.ts';

/** The right to disturb the components of a change, as the server granted it. */
export interface HeldPermit {
  readonly permitId: string;
}

/**
 * A change that is in place on disk, but for the manifests of static pods; what runs still runs as before. Only {@link applyChange}
 * makes it.
 */
export interface AppliedChange {
  readonly stage: 'applied';
  readonly change: Change;
  readonly record: ChangeRecord;
  /** When the first link was switched, milliseconds since the epoch. */
  readonly switchedAtMs: number;
  /** Cursor of the journal from just before: what a process writes while it takes the new files up comes after it. */
  readonly cursor: string;
}

/**
 * Per component switches the link, which changes all keys and certificates together, and then writes the files that refer to it:
 * a file never names a certificate that is not there. Then those that watch files of the version before are nudged, and systemd reads
 * its units again. Manifests of static pods are left to the stage restart, since kubelet takes them up at once.
 *
 * After an error the change has to be given to undoChange, which discards it when nothing was switched.
 *
 * @throws AppError 'conflict' when a file or link changed since it was staged, before anything is touched
 */
export async function applyChange(
  deps: TransactionDeps,
  staged: StagedChange,
  permit: HeldPermit,
  signal?: AbortSignal,
): Promise<AppliedChange> {
  const { layout } = deps;
  const { permitId } = permit;
  let record = await advanceChange(layout, staged.record, { name: 'permitted', permitId });
  await deps.checkpoint('permitted');
  await refuseDrift(record);
  record = await rememberProcesses(deps, record, signal);
  const cursor = await deps.currentCursor(signal);
  const switchedAtMs = deps.clock.nowMs();
  signal?.throwIfAborted();
  record = await advanceChange(layout, record, { name: 'switching', permitId });
  await deps.checkpoint('switching');
  for (const component of staged.change.components) await applyComponent(deps, component, record);
  record = await advanceChange(layout, record, { name: 'switched', permitId });
  await deps.checkpoint('switched');
  // keys and certificates are all new by now: a process reads all of them at the first event
  for (const { folder } of record.components) await nudgeWatchers(deps, folder, 'forward');
  await runChecked(deps.run, ['systemctl', 'daemon-reload']);
  await deps.checkpoint('reloaded');
  deps.log.info('change applied', { changeId: record.changeId, permitId, state: record.state.name });
  return { stage: 'applied', change: staged.change, record, switchedAtMs, cursor };
}

/** Waiting for a permit may take hours. */
async function refuseDrift(record: ChangeRecord): Promise<void> {
  for (const { folder, oldTarget, files } of record.components) {
    if (((await linkTarget(currentLink(folder))) ?? null) !== oldTarget) {
      throw new AppError('conflict', `${currentLink(folder)} changed while the change waited: plan again`);
    }
    for (const { path, before } of files) {
      if (!isState(await inspectFile(path), before)) {
        throw new AppError('conflict', `${path} changed while the change waited: plan again`);
      }
    }
  }
}

async function rememberProcesses(
  deps: TransactionDeps,
  from: ChangeRecord,
  signal?: AbortSignal,
): Promise<ChangeRecord> {
  let record = from;
  for (const { component, process } of from.components) {
    const { invocationId, activeState, wanted } = await showProcess(deps, process, signal);
    record = withComponent(record, component, { processBefore: { invocationId, activeState, wanted } });
  }
  return record;
}

async function applyComponent(deps: TransactionDeps, component: ComponentChange, record: ChangeRecord): Promise<void> {
  await switchSymlink(currentLink(component.folder), `v${record.changeId}`);
  await deps.checkpoint('link-switched');
  for (const file of component.files) {
    if (file.restarts) continue;
    const { path, after } = file;
    const { text, mode, uid, gid } = after;
    for (const folder of record.newFolders) {
      if (`${dirname(path)}/`.startsWith(`${folder}/`)) await makeFolder(folder, { mode: 0o755 });
    }
    await writeFileDurably(path, text, { mode, uid, gid });
    await deps.checkpoint('file-written');
  }
}
