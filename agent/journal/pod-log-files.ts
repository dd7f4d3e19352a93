/** Where kubelet keeps the logs of a static pod's container. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import type { PodContainer } from './pod-log-entries.ts';

/** Folder of the logs of all pods, one folder NAMESPACE_POD_UID a pod. */
export const POD_LOGS = '/var/log/pods';

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
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw new AppError('unavailable', `the logs in ${folder} could not be read: ${messageOf(error)}`, { cause: error });
  }
}

/** True for the error of a file or folder that is not there: kubelet removes logs at any time. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
