/** A version of a component's certificates: a folder that is written once, complete, before any link names it. */
import { lstat, mkdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../../common/errors/app-error.ts';
import { linkTarget, makeFolder, type Ownership, syncFolder, writeAndSync } from '../../common/files/durable.ts';
import type { ComponentChange } from '../plan/change.ts';
import type { SignedChange } from '../sign/signed-change.ts';
import { absent } from './file-state.ts';

/** A file of a version. */
export interface VersionFile {
  /** "serving.crt". */
  name: string;
  content: string;
  ownership: Ownership;
}

/** The link that is the one switch of a component. */
export function currentLink(folder: string): string {
  return join(folder, 'current');
}

/**
 * Writes keys (0600, of the component's user), certificates and roots (0644) into a new folder and fsyncs all of it.
 * Rejects 'internal' when the signed change does not hold what the plan wants; fails when the folder exists.
 */
export async function writeVersion(signed: SignedChange, component: ComponentChange, target: string): Promise<void> {
  const folder = join(component.folder, target);
  const files = versionFiles(signed, component);
  await mkdir(folder, { mode: 0o700 });
  for (const { name, content, ownership } of files) await writeAndSync(join(folder, name), content, ownership);
  await makeFolder(folder, folderOwnership(component));
}

/**
 * The files of a component's new version.
 *
 * @throws AppError 'internal' when the signed change does not hold what the plan wants
 */
export function versionFiles(signed: SignedChange, component: ComponentChange): VersionFile[] {
  const files: VersionFile[] = [];
  const open = { mode: 0o644, uid: ownUser(), gid: component.gid };
  for (const slot of component.slots) {
    const issued = signed.certificates.find(
      (each) => each.component === component.component && each.file === slot.file,
    );
    if (issued === undefined) throw missing(component, `${slot.file}.crt`);
    const owner = { mode: 0o600, uid: component.uid, gid: component.gid };
    files.push({ name: `${slot.file}.key`, content: issued.keyPem, ownership: owner });
    files.push({ name: `${slot.file}.crt`, content: issued.certificatePem, ownership: open });
  }
  for (const wanted of component.bundles) {
    const bundle = signed.bundles.find((each) => each.authority === wanted.authority);
    if (bundle === undefined) throw missing(component, wanted.file);
    files.push({ name: wanted.file, content: bundle.rootsPem, ownership: open });
  }
  return files;
}

/**
 * Removes a version that no link names (any more).
 *
 * @throws AppError 'internal' when `current` names it
 */
export async function removeVersion(folder: string, target: string): Promise<void> {
  if ((await linkTarget(currentLink(folder))) === target) {
    throw new AppError('internal', `${join(folder, target)} is in use, so it is not removed`);
  }
  await rm(join(folder, target), { recursive: true, force: true });
  if ((await lstat(folder).catch(absent)) !== undefined) await syncFolder(folder);
}

/** Owner and mode of a component's folders: only its own user may look in, unless that is root. */
export function folderOwnership(component: ComponentChange): Required<Ownership> {
  return component.uid === 0
    ? { mode: 0o755, uid: ownUser(), gid: component.gid }
    : { mode: 0o750, uid: ownUser(), gid: component.gid };
}

/** Those of the folders, and of their parents, that do not exist; parents first. */
export async function missingFolders(folders: readonly string[]): Promise<string[]> {
  const missing = new Set<string>();
  for (const folder of folders) {
    for (let at = folder; (await lstat(at).catch(absent)) === undefined; at = dirname(at)) missing.add(at);
  }
  return [...missing].sort((a, b) => a.length - b.length);
}

/** Removes folders that a change made, where they are empty; parents come first in the list. */
export async function removeFolders(folders: readonly string[]): Promise<void> {
  for (const folder of folders.toReversed()) {
    try {
      await rmdir(folder);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENOENT' || code === 'ENOTEMPTY' || code === 'EEXIST') continue;
      throw error;
    }
    await syncFolder(dirname(folder));
  }
}

/** The agent's own user: root in production. */
function ownUser(): number {
  return process.geteuid?.() ?? 0;
}

function missing(component: ComponentChange, file: string): AppError {
  return new AppError('internal', `nothing was signed for ${file} of ${component.component}`);
}
