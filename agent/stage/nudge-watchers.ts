/**
 * Makes processes that watch certificates by inotify look again after `current` was switched. Kubernetes since 1.23 watches what its
 * path led to when the watch was made, which is a file in the folder of an earlier version: a link above that is switched is no
 * event. On the event that the file was renamed it watches the path anew, through the link (k8s.io/apiserver, dynamiccertificates).
 */
import { link, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../common/errors/app-error.ts';
import { asideOf, linkTarget, syncFolder } from '../../common/files/durable.ts';
import { absent, sweepFolder } from './file-state.ts';
import type { Direction, TransactionDeps } from './transaction.ts';
import { currentLink } from './version-folder.ts';

/** What a nudge needs. */
type NudgeDeps = Pick<TransactionDeps, 'checkpoint' | 'log'>;

/**
 * Nudges every file of every version that `current` does not name, provided that the current one has it too: who watches an older
 * version than the last, for whatever reason, is reached as well. No file of ours is away or changed for a moment: a second name of
 * it is made, renamed and removed, and inotify tells of the renaming of the file itself.
 *
 * May be repeated, and is after a crash: the journal says all the while that the change is to be undone, and the undo removes the
 * second name before it nudges the other way. What cannot be nudged is logged: a process that does not take its files up is
 * restarted, or on the way back sees its files go with the version.
 *
 * @param folder of the component
 */
export async function nudgeWatchers(deps: NudgeDeps, folder: string, direction: Direction): Promise<void> {
  const target = await linkTarget(currentLink(folder));
  const entries = (await readdir(folder, { withFileTypes: true }).catch(absent)) ?? [];
  const versions = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  for (const version of versions) await sweepFolder(join(folder, version));
  const read = target === undefined ? [] : ((await readdir(join(folder, target)).catch(absent)) ?? []);
  for (const version of versions) {
    if (version !== target) await nudgeVersion(deps, join(folder, version), new Set(read), direction);
  }
  await deps.checkpoint(direction === 'forward' ? 'nudged' : 'undo-nudged');
}

/** Nudges those files of a version that are read elsewhere now. */
async function nudgeVersion(
  deps: NudgeDeps,
  version: string,
  read: ReadonlySet<string>,
  direction: Direction,
): Promise<void> {
  const undo = direction === 'forward' ? '' : 'undo-';
  const entries = await readdir(version, { withFileTypes: true });
  for (const { name } of entries.filter((entry) => entry.isFile() && read.has(entry.name))) {
    const path = join(version, name);
    const second = asideOf(path);
    try {
      await link(path, second);
    } catch (error) {
      if (!isRefused(error)) throw error;
      deps.log.warn('cannot tell watchers of new files', { path, detail: messageOf(error) });
      return;
    }
    await deps.checkpoint(`${undo}nudge-linked`);
    const moved = asideOf(path);
    await rename(second, moved);
    await deps.checkpoint(`${undo}nudge-moved`);
    await rm(moved);
  }
  await syncFolder(version); // once the journal is gone nobody looks for second names
}

/** True where a file can have no second name: on file systems that know none, or under a security policy. */
function isRefused(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EPERM' || code === 'EACCES' || code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'EMLINK';
}
