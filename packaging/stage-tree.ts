/** Writes the files of a package into a folder, with modes and times that depend on nothing but the files. */
import { chmod, copyFile, mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** One file of a package. Its path is relative to the root of the target: "usr/bin/kube-mtls". */
export type StagedFile = { path: string; mode: 0o644 | 0o755 } & (
  | { content: string | Uint8Array }
  | { copyOf: string }
);

/** Writes all files below a new folder; every folder is 0755, every time is the epoch's (seconds). */
export async function stageTree(root: string, files: readonly StagedFile[], epoch: number): Promise<void> {
  await mkdir(root, { recursive: true });
  for (const file of files) {
    const path = join(root, file.path);
    await mkdir(dirname(path), { recursive: true });
    if ('content' in file) await writeFile(path, file.content, { flag: 'wx' });
    else await copyFile(file.copyOf, path);
    await chmod(path, file.mode); // whatever the umask
  }
  for (const path of (await everythingBelow(root)).toReversed()) {
    if ((await stat(path)).isDirectory()) await chmod(path, 0o755);
    await utimes(path, epoch, epoch);
  }
}

/** All folders and files, parents first, in an order that does not depend on the file system. */
async function everythingBelow(root: string): Promise<string[]> {
  const names = await readdir(root, { recursive: true });
  return [root, ...names.sort().map((name) => join(root, name))];
}
