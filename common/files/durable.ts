/** Files that are whole or absent, also after a power cut: written aside, fsynced, renamed, and their folder fsynced. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Who may do what with a file. */
export interface Ownership {
  /** Permission bits, 0o600. */
  mode: number;
  /** Numeric user; absent leaves the caller's. */
  uid?: number;
  /** Numeric group; absent leaves the caller's. */
  gid?: number;
}

/** For chown(2): this one stays as it is. */
const UNCHANGED = -1;

/**
 * Writes a file so that a reader sees either the old content or the new, and a crash keeps one of the two.
 * Mode and owner are set before the file appears under its name.
 */
export async function writeFileDurably(
  path: string,
  content: string | Uint8Array,
  ownership: Ownership,
): Promise<void> {
  const aside = asideOf(path);
  try {
    await writeAndSync(aside, content, ownership);
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Writes a new file and fsyncs it; fails when the file exists. Its folder is the caller's to fsync. */
export async function writeAndSync(path: string, content: string | Uint8Array, ownership: Ownership): Promise<void> {
  const file = await open(path, 'wx', ownership.mode);
  try {
    await file.writeFile(content);
    await file.chmod(ownership.mode); // open() is subject to the umask
    if (isGiven(ownership)) await file.chown(ownership.uid ?? UNCHANGED, ownership.gid ?? UNCHANGED);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a symbolic link point elsewhere in one step: readers see the old target or the new one. */
export async function switchSymlink(path: string, target: string): Promise<void> {
  const aside = asideOf(path);
  await symlink(target, aside);
  try {
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Removes a file or link, and makes that durable; a missing one is no error. */
export async function removeDurably(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(dirname(path));
}

/** Target of a symbolic link, or undefined when there is none. */
export async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EINVAL'))
      return undefined;
    throw error;
  }
}

/** Makes a folder and its parents, sets mode and owner of the last one, and fsyncs it and every folder that got a new name. */
export async function makeFolder(path: string, ownership: Ownership): Promise<void> {
  const firstNew = (await mkdir(path, { recursive: true, mode: 0o755 })) ?? path;
  const folder = await open(path, 'r');
  try {
    await folder.chmod(ownership.mode);
    if (isGiven(ownership)) await folder.chown(ownership.uid ?? UNCHANGED, ownership.gid ?? UNCHANGED);
    await folder.sync();
  } finally {
    await folder.close();
  }
  for (let at = dirname(path); at.length >= dirname(firstNew).length; at = dirname(at)) {
    await syncFolder(at);
    if (at === dirname(at)) break;
  }
}

/** Makes renames and new names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isGiven({ uid, gid }: Ownership): boolean {
  return uid !== undefined || gid !== undefined;
}

/** A name beside the file that no glob for *.conf, *.yaml or a manifest folder takes up. */
export function asideOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.kube-mtls-${randomBytes(6).toString('hex')}`);
}
