/** Puts everything of a change on disk where no component looks yet, and starts its journal. */
import { dirname, join } from 'node:path';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { makeFolder, syncFolder, writeAndSync } from '../../common/files/durable.ts';
import type { Change, ComponentChange } from '../plan/change.ts';
import { refOf } from '../process/process-ref.ts';
import type { SignedChange } from '../sign/signed-change.ts';
import { advanceChange, beginChange, changeFolder, listChanges } from './change-journal.ts';
import { type ChangeRecord, type ComponentRecord, isFinished } from './change-record.ts';
import { discardChange } from './discard-change.ts';
import { inspectFile, isState, markOf } from './file-state.ts';
import { fillChange } from './fill-change.ts';
import type { TransactionDeps } from './transaction.ts';
import { currentLink, folderOwnership, missingFolders, writeVersion } from './version-folder.ts';

/** A change that is complete on disk and in no use. Only {@link stageChange} makes it. */
export interface StagedChange {
  readonly stage: 'staged';
  /** With every placeholder in its files filled, so that embedded keys are in it. */
  readonly change: Change;
  readonly record: ChangeRecord;
}

/** A copy to be kept of a file as it is. */
interface Copy {
  name: string;
  content: Buffer;
}

/**
 * Writes the new versions, copies of every file that will change, and the journal, all fsynced. After an error (a full disk,
 * say) everything is as it was before.
 *
 * @throws AppError 'conflict' when a file is not as the plan saw it, when it is no regular file, or when an earlier change
 *   is unfinished or unreadable; 'unavailable' when the disk refuses; 'internal' when the signed change is incomplete
 */
export async function stageChange(deps: TransactionDeps, signed: SignedChange): Promise<StagedChange> {
  const { layout } = deps;
  const change = fillChange(signed);
  await refuseUnfinished(deps);
  const copies: Copy[] = [];
  const components: ComponentRecord[] = [];
  for (const component of change.components) components.push(await describe(change, component, copies));
  let record: ChangeRecord = {
    version: 1,
    changeId: change.changeId,
    fingerprint: change.fingerprint,
    createdAtMs: deps.clock.nowMs(),
    state: { name: 'staging' },
    newFolders: await missingFolders(components.flatMap((each) => [each.folder, ...folders(each)])),
    components,
    foreign: [],
  };
  try {
    await beginChange(layout, record);
  } catch (error) {
    throw stagingError(error);
  }
  try {
    await deps.checkpoint('journal-begun');
    await keepCopies(changeFolder(layout, change.changeId), copies);
    await deps.checkpoint('before-copied');
    for (const component of change.components) {
      await makeComponentFolder(component, record.newFolders);
      await writeVersion(signed, component, `v${change.changeId}`);
      await deps.checkpoint('version-written');
    }
    record = await advanceChange(layout, record, { name: 'staged' });
    await deps.checkpoint('staged');
  } catch (error) {
    await takeBack(deps, record, error);
    throw stagingError(error);
  }
  deps.log.info('change staged', { changeId: change.changeId, state: record.state.name });
  return { stage: 'staged', change, record };
}

/** A half-made change on disk would be taken for the state before. */
async function refuseUnfinished(deps: TransactionDeps): Promise<void> {
  const { records, problems } = await listChanges(deps.layout);
  const problem = problems[0];
  if (problem !== undefined) throw new AppError('conflict', problem.message);
  const open = records.find((each) => !isFinished(each.state));
  if (open !== undefined) {
    throw new AppError(
      'conflict',
      `change ${open.changeId} is still ${open.state.name}: restart the agent to recover it`,
    );
  }
}

/** Compares the disk with what the plan saw, and notes it all for the journal. */
async function describe(change: Change, component: ComponentChange, copies: Copy[]): Promise<ComponentRecord> {
  const newTarget = `v${change.changeId}`;
  const files: ComponentRecord['files'] = [];
  for (const file of component.files) {
    const state = await inspectFile(file.path);
    if (!isState(state, file.before === undefined ? null : markOf(file.before))) {
      throw new AppError('conflict', `${file.path} is not as the plan saw it: plan again`);
    }
    const copy = `before-${copies.length}`;
    if (state.kind === 'file') copies.push({ name: copy, content: state.content });
    files.push({
      path: file.path,
      before: state.kind === 'file' ? { ...state.mark, copy } : null,
      after: markOf(file.after),
      restarts: file.restarts,
    });
  }
  const link = await inspectFile(currentLink(component.folder));
  if (link.kind !== 'link' && link.kind !== 'absent') {
    throw new AppError('conflict', `${currentLink(component.folder)} is no symbolic link: move it away`);
  }
  const version = join(component.folder, newTarget);
  if ((await inspectFile(version)).kind !== 'absent') {
    throw new AppError('conflict', `${version} exists already: plan again`);
  }
  return {
    component: component.component,
    process: refOf(component.detected.process),
    takeUp: component.takeUp,
    folder: component.folder,
    oldTarget: link.kind === 'link' ? link.target : null,
    newTarget,
    files,
    memberUpdate: component.memberUpdate ?? null,
    memberUpdateBegun: false,
    processBefore: null,
    ...(component.dependants === undefined ? {} : { dependants: [...component.dependants] }),
    restartBegun: false,
    restoredInvocationId: null,
  };
}

function folders(component: ComponentRecord): string[] {
  return component.files.map((file) => dirname(file.path));
}

async function keepCopies(folder: string, copies: readonly Copy[]): Promise<void> {
  for (const { name, content } of copies) await writeAndSync(join(folder, name), content, { mode: 0o600 });
  await syncFolder(folder);
}

/** Makes the component's folder and its parents, those of them that are new. */
async function makeComponentFolder(component: ComponentChange, newFolders: readonly string[]): Promise<void> {
  for (const folder of newFolders) {
    if (folder === component.folder) await makeFolder(folder, folderOwnership(component));
    else if (`${component.folder}/`.startsWith(`${folder}/`)) await makeFolder(folder, { mode: 0o755 });
  }
}

/** Removes what was staged before the error. What cannot be removed now is removed by the next start. */
async function takeBack(deps: TransactionDeps, record: ChangeRecord, cause: unknown): Promise<void> {
  try {
    await discardChange(deps, record, messageOf(cause));
  } catch (error) {
    deps.log.warn('staged files stay until the next start', { changeId: record.changeId, error });
  }
}

function stagingError(error: unknown): AppError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EROFS' || code === 'EIO') {
    const advice = 'make room or mend it, the change is then tried again';
    return new AppError('unavailable', `the disk refuses new certificates (${messageOf(error)}): ${advice}`, {
      cause: error,
    });
  }
  return AppError.from(error);
}
