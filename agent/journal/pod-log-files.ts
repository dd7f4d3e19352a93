/** Where kubelet keeps the logs of a static pod's container. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { isMadeUp, listBounded } from '../../common/files/read-bounded.ts';
import type { PodContainer } from './pod-log-entries.ts';

/** Folder of the logs of all pods, one folder NAMESPACE_POD_UID a pod. */
export const POD_LOGS = '/var/log/pods';
/** Pods of a node, or files of a pod; kubelet runs a few hundred pods and leaves some five files. */
const MOST_ENTRIES = 10_000;

/**
 * Absolute paths of the log files N.log that the container has now, those of every folder of the pod: a static pod has another
 * UID with each manifest. Empty for a pod without logs. Of the files that rotation put away, packed ones are always left out.
 *
 * @param rotated - true for those that rotation put away (N.log.DATE) too
 * @throws AppError 'unavailable' when a folder cannot be read
 */
export async function podLogFiles(
  podLogs: string,
  { namespace, pod, container }: PodContainer,
  rotated: boolean,
): Promise<string[]> {
  const pattern = rotated ? /^\d+\.log(?:\.[\d-]+)?$/ : /^\d+\.log$/;
  const files: string[] = [];
  // a UID holds no "_", nor do the other two parts
  const prefix = `${namespace}_${pod}_`;
  const folders = (await namesIn(podLogs)).filter((name) => name.startsWith(prefix));
  for (const folder of folders) {
    const logs = join(podLogs, folder, container);
    const names = (await namesIn(logs)).filter((name) => pattern.test(name));
    files.push(...names.map((name) => join(logs, name)));
  }
  return files;
}

/** What a folder holds; a folder that is not there, or no longer, holds nothing. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    const entries = await listBounded(folder, { mostEntries: MOST_ENTRIES });
    if (entries !== undefined) return entries.map(({ name }) => name);
  } catch (error) {
    if (isMissing(error)) return [];
    throw new AppError('unavailable', `the logs in ${folder} could not be read: ${messageOf(error)}`, { cause: error });
  }
  throw new AppError(
    'unavailable',
    `the logs in ${folder} could not be read: it holds more than ${MOST_ENTRIES} files`,
  );
}

/**
 * Opens a log for reading. It may be a link, as Docker's is; a pod that has the folder mounted could make it one to anything.
 *
 * @throws the file system's error; AppError 'unavailable' for what is no regular file on a disk
 */
export async function openLogFile(path: string): Promise<FileHandle> {
  // a named pipe must not be waited for
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if ((await file.stat()).isFile() && !(await isMadeUp(file))) return file;
    throw new AppError('unavailable', 'it is no regular file on a disk');
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** True for the error of a file or folder that is not there: kubelet removes logs at any time. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
