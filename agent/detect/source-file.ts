/** Reading text files of the node with their owner and mode; whatever is no sane text file is refused by name. */
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../common/errors/app-error.ts';
import { type FolderEntry, listBounded, readBounded } from '../../common/files/read-bounded.ts';
import type { Layout } from '../layout.ts';
import type { SourceFile } from './detected.ts';
import { NotUnderstood } from './not-understood.ts';

/** Units, environment files, configurations and bundles are far smaller; bytes. */
const LARGEST_BYTES = 4 * 1024 * 1024;
/** A folder that holds more is nobody's configuration. */
export const MOST_ENTRIES = 10_000;

/** A path of the node below the layout's root; one that lies there already stays as it is. */
export function below(layout: Layout, path: string): string {
  if (layout.root === '' || path === layout.root || path.startsWith(`${layout.root}/`)) return path;
  return join(layout.root, path);
}

/**
 * Reads a file. A link to /dev/null is an empty file, systemd's way of masking.
 *
 * @throws NotUnderstood when it is missing, unreadable, no regular file on a disk, larger than 4 MiB, or not UTF-8 text
 */
export async function readSource(path: string): Promise<SourceFile> {
  const found = await readSourceIfAny(path);
  if (found === undefined) throw new NotUnderstood('there is no such file', { path });
  return found;
}

/** As {@link readSource}, but undefined when there is no such file. */
export async function readSourceIfAny(path: string): Promise<SourceFile | undefined> {
  try {
    return await read(path);
  } catch (error) {
    if (error instanceof NotUnderstood) throw error;
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw new NotUnderstood(`cannot be read: ${messageOf(error)}`, { path }, error);
  }
}

/** The code of a system error, "ENOENT", or ''. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/**
 * What a folder holds; see {@link listBounded}.
 *
 * @returns undefined when there is no such folder
 * @throws NotUnderstood when it is no folder or cannot be read, and when it holds more than 10,000 entries
 */
export async function readFolder(
  folder: string,
  options: { below?: boolean } = {},
): Promise<readonly FolderEntry[] | undefined> {
  try {
    const entries = await listBounded(folder, { mostEntries: MOST_ENTRIES, ...options });
    if (entries !== undefined) return entries;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new NotUnderstood(`cannot be read: ${messageOf(error)}`, { path: folder }, error);
  }
  throw new NotUnderstood(`holds more than ${MOST_ENTRIES} files: move those away that do not belong there`, {
    path: folder,
  });
}

async function read(path: string): Promise<SourceFile> {
  const found = await readBounded(path, LARGEST_BYTES);
  const owner = { mode: found.stats.mode & 0o7777, uid: found.stats.uid, gid: found.stats.gid };
  switch (found.kind) {
    case 'file':
      return { path, text: decode(found.content, path), ...owner };
    case 'too-large':
      throw new NotUnderstood('is larger than 4 MiB', { path });
    case 'made-up':
      throw new NotUnderstood('lies in a file system of the kernel, as /proc, whose files may have no end', { path });
    case 'other':
      if ((await realpath(path)) === '/dev/null') return { path, text: '', ...owner };
      throw new NotUnderstood('is not a regular file', { path });
  }
}

function decode(bytes: Uint8Array, path: string): string {
  const zero = bytes.indexOf(0);
  if (zero >= 0) throw new NotUnderstood('holds a NUL byte: it is no text', { path, line: lineAt(bytes, zero) });
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new NotUnderstood('is not UTF-8 text', { path }, error);
  }
}

function lineAt(bytes: Uint8Array, end: number): number {
  return bytes.subarray(0, end).filter((byte) => byte === 10).length + 1;
}
