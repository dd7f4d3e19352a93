/** Copies of what somebody else wrote into files of ours, made before a change writes over it. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makeFolder, removeDurably, writeFileDurably } from '../../common/files/durable.ts';
import type { Log } from '../../common/log/log.ts';
import type { Layout } from '../layout.ts';
import type { Change } from '../plan/change.ts';
import type { KeptFile } from '../report/agent-state.ts';
import type { StatusBoard } from '../report/status-board.ts';
import { absent, markOf, sha256 } from '../stage/file-state.ts';

/** A file that is written over, and where its content is kept. */
export interface Overwritten {
  path: string;
  savedAs: string;
}

/** The newest are kept. */
const MOST_COPIES = 50;
/** All copies together, in bytes. */
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * Keeps a copy of each file of the change that is not as a kept change left it. The same content of a file is kept once. Only root
 * may read the copies, as they may hold keys.
 *
 * @throws the error of the file system when a copy cannot be written: nothing must be written over then
 */
export async function keepOverwritten(
  layout: Layout,
  kept: readonly KeptFile[],
  change: Pick<Change, 'components'>,
): Promise<Overwritten[]> {
  const saved: Overwritten[] = [];
  for (const { path, before } of change.components.flatMap(({ files }) => files)) {
    const known = kept.find((file) => file.path === path);
    if (known === undefined || before === undefined || markOf(before).sha256 === known.sha256) continue;
    const folder = layout.overwrittenFolder;
    await makeFolder(folder, { mode: 0o700 });
    const savedAs = join(folder, `${sha256(Buffer.from(`${path}\n${before.text}`)).slice(0, 16)}-${basename(path)}`);
    await writeFileDurably(savedAs, before.text, { mode: 0o600 });
    saved.push({ path, savedAs });
  }
  if (saved.length > 0) await removeOldest(layout.overwrittenFolder, saved);
  return saved;
}

/** Says where the copies are, in the log and of each component. */
export function tellOverwritten(
  copies: readonly Overwritten[],
  change: Pick<Change, 'components'>,
  { board, log }: { board: StatusBoard; log: Log },
): void {
  for (const { path, savedAs } of copies) {
    log.warn('changes of somebody else were written over, a copy is kept', { path, detail: savedAs });
  }
  for (const { component, files } of change.components) {
    const own = copies.filter(({ path }) => files.some((file) => file.path === path));
    const told = own.map(
      ({ path, savedAs }) => `${path}, changed by somebody else, was written over; copy: ${savedAs}`,
    );
    if (told.length > 0) board.set(component, { reason: told.join('; ') });
  }
}

/** Those that were just made stay. */
async function removeOldest(folder: string, saved: readonly Overwritten[]): Promise<void> {
  const copies: { path: string; bytes: number; atMs: number }[] = [];
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const stats = await stat(path).catch(absent);
    if (stats !== undefined) copies.push({ path, bytes: stats.size, atMs: stats.mtimeMs });
  }
  const isNew = (path: string) => saved.some(({ savedAs }) => savedAs === path);
  copies.sort((one, other) => Number(isNew(other.path)) - Number(isNew(one.path)) || other.atMs - one.atMs);
  let bytes = 0;
  for (const [at, copy] of copies.entries()) {
    bytes += copy.bytes;
    if (!isNew(copy.path) && (at >= MOST_COPIES || bytes > MOST_BYTES)) await removeDurably(copy.path);
  }
}
