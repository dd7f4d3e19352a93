/** Puts the files and links of a change back, byte for byte, from the copies in its folder. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../common/errors/app-error.ts';
import { makeFolder, removeDurably, switchSymlink, syncFolder, writeFileDurably } from '../../common/files/durable.ts';
import type { Component } from '../../common/names/names.ts';
import { advanceChange, changeFolder, evidenceFolder } from '../stage/change-journal.ts';
import type { ChangeRecord, ComponentRecord, FileRecord } from '../stage/change-record.ts';
import { absent, type FileState, inspectFile, isState, sha256, sweepAsides } from '../stage/file-state.ts';
import { nudgeWatchers } from '../stage/nudge-watchers.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { currentLink } from '../stage/version-folder.ts';

/**
 * Restores in the reverse order of apply: what refers to the new certificates goes first, the link last. What somebody else wrote
 * meanwhile is kept as evidence before it is replaced. In the end those that watch the new files are nudged. Manifests of static
 * pods are left to {@link restoreManifests}, since that restarts the pod. May be repeated after a crash at any point.
 *
 * @param record - in state undoing
 * @returns the record with the foreign files noted
 * @throws AppError 'internal' when a copy is damaged, 'conflict' when a folder stands where a file was
 */
export async function restoreFiles(deps: TransactionDeps, record: ChangeRecord): Promise<ChangeRecord> {
  let at = record;
  for (const component of record.components.toReversed()) {
    for (const file of component.files.toReversed()) {
      await sweepAsides(file.path);
      if (!file.restarts) at = await restoreFile(deps, at, file);
    }
    await sweepAsides(currentLink(component.folder));
    at = await restoreLink(deps, at, component);
  }
  // also when the links were back before a crash: who watches the new version may not know yet
  for (const { folder } of record.components) await nudgeWatchers(deps, folder, 'back');
  return at;
}

/**
 * Restores the manifests of one component, as {@link restoreFiles} does with the other files.
 *
 * @param record - in state undoing
 * @returns the record with the foreign files noted
 * @throws AppError 'internal' when a copy is damaged, 'conflict' when a folder stands where a manifest was
 */
export async function restoreManifests(
  deps: TransactionDeps,
  record: ChangeRecord,
  component: Component,
): Promise<ChangeRecord> {
  let at = record;
  const files = record.components.find((each) => each.component === component)?.files ?? [];
  for (const file of files.toReversed()) {
    if (file.restarts) at = await restoreFile(deps, at, file);
  }
  return at;
}

async function restoreFile(deps: TransactionDeps, record: ChangeRecord, file: FileRecord): Promise<ChangeRecord> {
  const { path, before, after } = file;
  const state = await inspectFile(path);
  if (isState(state, before)) return record;
  const ours = state.kind === 'file' && [before?.sha256, after.sha256].includes(state.mark.sha256);
  const next = ours || state.kind === 'absent' ? record : await keepEvidence(deps, record, path, state);
  if (before === null) await removeDurably(path);
  else {
    const copy = join(changeFolder(deps.layout, record.changeId), before.copy);
    const content = await readFile(copy).catch(absent);
    if (content === undefined || sha256(content) !== before.sha256) {
      throw new AppError('internal', `${copy}, the copy of ${path}, is damaged: restore ${path} by hand`);
    }
    await writeFileDurably(path, content, { mode: before.mode, uid: before.uid, gid: before.gid });
  }
  await deps.checkpoint('file-restored');
  return next;
}

async function restoreLink(
  deps: TransactionDeps,
  record: ChangeRecord,
  component: ComponentRecord,
): Promise<ChangeRecord> {
  const { oldTarget, newTarget } = component;
  const link = currentLink(component.folder);
  const state = await inspectFile(link);
  const target = state.kind === 'link' ? state.target : null;
  if (state.kind === 'absent' ? oldTarget === null : target === oldTarget) return record;
  const ours = state.kind === 'absent' || target === newTarget;
  const next = ours ? record : await keepEvidence(deps, record, link, state);
  if (oldTarget === null) await removeDurably(link);
  else await switchSymlink(link, oldTarget);
  await deps.checkpoint('link-restored');
  return next;
}

/** Saves what somebody else put there, and notes it in the journal before anything is replaced. */
async function keepEvidence(
  deps: TransactionDeps,
  record: ChangeRecord,
  path: string,
  state: FileState,
): Promise<ChangeRecord> {
  if (state.kind === 'other') throw new AppError('conflict', `${path} is no file any more: move it away`);
  if (state.kind === 'too-large') {
    throw new AppError('conflict', `${path} was replaced by a file of more than 8 MiB: move it away`);
  }
  const content =
    state.kind === 'file' ? state.content : `symbolic link to ${state.kind === 'link' ? state.target : ''}\n`;
  const folder = evidenceFolder(deps.layout, record.changeId);
  await makeFolder(join(folder, '..'), { mode: 0o700 });
  await makeFolder(folder, { mode: 0o700 });
  const savedAs = join(folder, `foreign-${record.foreign.length}`);
  await writeFileDurably(savedAs, content, { mode: 0o600 });
  await syncFolder(folder);
  const foreign = [...record.foreign, { path, savedAs }];
  deps.log.warn('file was changed by somebody else, its content is kept aside', {
    changeId: record.changeId,
    path,
    detail: savedAs,
  });
  return advanceChange(deps.layout, { ...record, foreign }, record.state);
}
