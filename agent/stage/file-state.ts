/** What stands at a path now, so that it can be compared with what stood there and with what we wrote. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, opendir, readlink, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readBounded } from '../../common/files/read-bounded.ts';

/** Content and permissions of a regular file, without the content itself. */
export interface FileMark {
  /** Lower-case hexadecimal. */
  sha256: string;
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
}

/** What stands at a path. */
export type FileState =
  | { kind: 'absent' }
  | { kind: 'file'; content: Buffer; mark: FileMark }
  | { kind: 'link'; target: string }
  /** A regular file that is larger than any of ours. */
  | { kind: 'too-large' }
  /** Also a file that the kernel makes up, as in /proc. */
  | { kind: 'other' };

/** Twice what detection reads: a plan adds little to a file; bytes. */
const LARGEST_BYTES = 8 * 1024 * 1024;

/** Looks at a path without following a symbolic link at its end. */
export async function inspectFile(path: string): Promise<FileState> {
  const stats = await lstat(path).catch(absent);
  if (stats === undefined) return { kind: 'absent' };
  if (stats.isSymbolicLink()) return { kind: 'link', target: await readlink(path) };
  if (!stats.isFile()) return { kind: 'other' };
  // between the two looks it may have become something else, which is told by what is opened
  const found = await readBounded(path, LARGEST_BYTES, constants.O_NOFOLLOW);
  if (found.kind === 'too-large') return { kind: 'too-large' };
  if (found.kind !== 'file') return { kind: 'other' };
  const { content, stats: now } = found;
  const { mode, uid, gid } = now;
  return { kind: 'file', content, mark: { sha256: sha256(content), mode: mode & 0o7777, uid, gid } };
}

/** True when the path holds exactly that; null stands for no file. */
export function isState(state: FileState, mark: FileMark | null): boolean {
  if (mark === null) return state.kind === 'absent';
  if (state.kind !== 'file') return false;
  const { sha256: hash, mode, uid, gid } = state.mark;
  return hash === mark.sha256 && mode === mark.mode && uid === mark.uid && gid === mark.gid;
}

/** The mark of a file that is still to be written. */
export function markOf(file: { text: string; mode: number; uid: number; gid: number }): FileMark {
  return { sha256: sha256(Buffer.from(file.text)), mode: file.mode & 0o7777, uid: file.uid, gid: file.gid };
}

/** SHA-256, lower-case hexadecimal. */
export function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** Removes what a crash between writing aside and renaming left beside a path (see common/files/durable.ts). */
export async function sweepAsides(path: string): Promise<void> {
  await sweep(dirname(path), basename(path));
}

/** As {@link sweepAsides}, beside every path in a folder of ours. */
export async function sweepFolder(folder: string): Promise<void> {
  await sweep(folder);
}

async function sweep(folder: string, beside?: string): Promise<void> {
  const entries = await opendir(folder).catch(absent);
  if (entries === undefined) return;
  // one by one: the folder may be somebody else's, who can fill it
  for await (const { name } of entries) {
    const [, of] = /^\.(.+)\.kube-mtls-[0-9a-f]{12}$/.exec(name) ?? [];
    if (of !== undefined && of === (beside ?? of)) await rm(join(folder, name), { force: true });
  }
}

/** For the catch of a call on a path: undefined when nothing stands there. */
export function absent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return;
  throw error;
}
