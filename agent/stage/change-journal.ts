/** The journals of changes on disk: one folder a change, which appears and goes in one step. */
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { makeFolder, syncFolder, writeAndSync, writeFileDurably } from '../../common/files/durable.ts';
import type { Layout } from '../layout.ts';
import { type ChangeRecord, type ChangeState, changeRecordSchema, isLegal } from './change-record.ts';
import { absent } from './file-state.ts';

/** A journal that cannot be read. It is never deleted, and no new change begins while it is there. */
export interface JournalProblem {
  path: string;
  /** What is wrong with it and what to do. */
  message: string;
}

/** All journals, oldest change first. */
export interface ChangeList {
  records: ChangeRecord[];
  problems: JournalProblem[];
}

const JOURNAL = 'change.json';
/** Folder beside the changes for what other people wrote and an undo replaced. Never cleaned. */
const EVIDENCE = 'evidence';
/** Room that a change keeps for its own undo on a full disk, in bytes: a few journals and configuration files. */
const RESERVE_BYTES = 256 * 1024;

/** Folder of a change: its journal, and the files as they were before. */
export function changeFolder(layout: Layout, changeId: string): string {
  return join(layout.changesFolder, changeId);
}

/** Folder for the foreign content that the undo of this change replaced. */
export function evidenceFolder(layout: Layout, changeId: string): string {
  return join(layout.changesFolder, EVIDENCE, changeId);
}

/** Starts a journal: folder, first record and reserve appear together. Rejects 'conflict' when there is one of that name. */
export async function beginChange(layout: Layout, record: ChangeRecord): Promise<void> {
  const folder = changeFolder(layout, record.changeId);
  const aside = join(layout.changesFolder, `.new-${record.changeId}`);
  if ((await readdir(folder).catch(absent)) !== undefined) {
    throw new AppError('conflict', `there is a change ${record.changeId} already: plan again`);
  }
  await makeFolder(layout.changesFolder, { mode: 0o700 });
  try {
    await mkdir(aside, { mode: 0o700 });
    await writeAndSync(join(aside, JOURNAL), textOf(record), { mode: 0o600 });
    await writeAndSync(join(aside, 'reserve'), Buffer.alloc(RESERVE_BYTES), { mode: 0o600 });
    await syncFolder(aside);
    await rename(aside, folder);
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    throw error;
  }
  await syncFolder(layout.changesFolder);
}

/**
 * Writes the next state of a change, together with whatever else differs in the record.
 *
 * @throws AppError 'internal' for an illegal step
 */
export async function advanceChange(layout: Layout, record: ChangeRecord, state: ChangeState): Promise<ChangeRecord> {
  if (!isLegal(record.state.name, state.name)) {
    throw new AppError('internal', `change ${record.changeId} cannot go from ${record.state.name} to ${state.name}`);
  }
  const next = { ...record, state };
  await writeFileDurably(join(changeFolder(layout, record.changeId), JOURNAL), textOf(next), { mode: 0o600 });
  return next;
}

/** Gives back the room kept for the undo. To be called before the journal goes on from a failure or to its end. */
export async function freeReserve(layout: Layout, changeId: string): Promise<void> {
  await rm(join(changeFolder(layout, changeId), 'reserve'), { force: true });
}

/** Removes a change's journal and its copies in one step; evidence stays. A change that is gone already is no error. */
export async function forgetChange(layout: Layout, changeId: string): Promise<void> {
  const aside = join(layout.changesFolder, `.gone-${changeId}`);
  await rm(aside, { recursive: true, force: true });
  await rename(changeFolder(layout, changeId), aside).catch(absent);
  await syncFolder(layout.changesFolder);
  await rm(aside, { recursive: true, force: true });
}

/** Reads one journal. Rejects 'not-found', or 'internal' for one that cannot be read. */
export async function loadChange(layout: Layout, changeId: string): Promise<ChangeRecord> {
  const path = join(changeFolder(layout, changeId), JOURNAL);
  const text = await readFile(path, 'utf8').catch(absent);
  if (text === undefined) throw new AppError('not-found', `there is no change ${changeId}`);
  const advice = 'compare the files of this node with the copies beside it, then move the folder away';
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new AppError('internal', `${path} is torn (${messageOf(error)}): ${advice}`, { cause: error });
  }
  const version = typeof json === 'object' && json !== null && 'version' in json ? json.version : undefined;
  if (version !== 1) {
    throw new AppError('internal', `${path} has the unknown version ${JSON.stringify(version)}: ${advice}`);
  }
  const parsed = changeRecordSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue === undefined ? '' : ` at ${issue.path.join('.')} (${issue.message})`;
    throw new AppError('internal', `${path} does not hold what it should${where}: ${advice}`, { cause: parsed.error });
  }
  if (parsed.data.changeId !== changeId) {
    throw new AppError('internal', `${path} is the journal of ${parsed.data.changeId}: ${advice}`);
  }
  return parsed.data;
}

/** Reads all journals, oldest first; those that cannot be read are named. */
export async function listChanges(layout: Layout): Promise<ChangeList> {
  const list: ChangeList = { records: [], problems: [] };
  for (const name of await changeNames(layout)) {
    try {
      list.records.push(await loadChange(layout, name));
    } catch (error) {
      const failure = AppError.from(error);
      const path = changeFolder(layout, name);
      const message =
        failure.reason === 'not-found' ? `${path} holds no journal: look into it, then move it away` : failure.message;
      list.problems.push({ path, message });
    }
  }
  list.records.sort((a, b) => a.createdAtMs - b.createdAtMs || (a.changeId < b.changeId ? -1 : 1));
  return list;
}

/** Removes folders that a crash left on their way into the list or out of it. */
export async function sweepChanges(layout: Layout): Promise<void> {
  for (const name of (await readdir(layout.changesFolder).catch(absent)) ?? []) {
    if (/^\.(new|gone)-/.test(name)) await rm(join(layout.changesFolder, name), { recursive: true, force: true });
  }
}

async function changeNames(layout: Layout): Promise<string[]> {
  const names = (await readdir(layout.changesFolder).catch(absent)) ?? [];
  return names.filter((name) => !name.startsWith('.') && name !== EVIDENCE).sort();
}

function textOf(record: ChangeRecord): string {
  return `${JSON.stringify(record, undefined, 2)}\n`;
}
