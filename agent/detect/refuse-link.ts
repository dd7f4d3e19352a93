/** Files that a plan may change: a symbolic link at their path would be replaced by a file, or followed to who knows whose file. */
import { readlink } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { NotUnderstood } from './not-understood.ts';

/**
 * Refuses a symbolic link, one that leads nowhere too. Links on the way to the file do not matter.
 *
 * @param advice - what to do instead, "name that in --kubeconfig"; "that" is the file that the link leads to
 * @throws NotUnderstood
 */
export async function refuseLink(path: string, advice: string): Promise<void> {
  let target: string;
  try {
    target = await readlink(path);
  } catch {
    return; // no link; whatever else is wrong with it is found when it is read
  }
  const file = resolve(dirname(path), target);
  throw new NotUnderstood(`is a symbolic link to ${file}, and only the file itself is changed: ${advice}`, { path });
}
