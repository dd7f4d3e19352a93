/** Files that a flag or a configuration names. */
import { dirname, join, relative } from 'node:path';
import type { Layout } from '../layout.ts';
import type { DetectedPod, DetectedUnit, SourceFile } from './detected.ts';
import { refuseHiddenPaths } from './hidden-paths.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import { placeOf } from './load-process.ts';
import { NotUnderstood } from './not-understood.ts';
import { refuseLink } from './refuse-link.ts';
import { below, readSource } from './source-file.ts';

/**
 * Reads the file as the process sees it.
 *
 * @param by - what names it, "--config"
 * @param path - '' names none
 * @throws NotUnderstood when it is no absolute path, is not there, or a container has another file at that path
 */
export async function readNamedFile(
  layout: Layout,
  process: DetectedUnit | DetectedPod,
  by: string,
  path: string,
): Promise<SourceFile | undefined> {
  if (path === '') return undefined;
  if (!path.startsWith('/'))
    throw new NotUnderstood(`${by}=${path} is no absolute path: write it out`, placeOf(process));
  refuseHiddenPaths(process, [{ by, path }]);
  return readSource(below(layout, path));
}

/**
 * As {@link readNamedFile}, for a kubeconfig: the files that it names are looked for in the container too.
 *
 * @throws NotUnderstood also when it is no kubeconfig, and when it is a symbolic link: kubeconfigs are changed
 */
export async function readNamedKubeconfig(
  layout: Layout,
  process: DetectedUnit | DetectedPod,
  by: string,
  path: string,
): Promise<SourceFile | undefined> {
  const file = await readNamedFile(layout, process, by, path);
  if (file === undefined) return undefined;
  await refuseLink(file.path, `name that in ${by}`);
  for (const { key, value } of parseKubeconfig(file).certificates) {
    if (key.endsWith('-data')) continue;
    // relative paths were resolved from the file's place on disk
    const seen = value.startsWith(`${dirname(file.path)}/`)
      ? join(dirname(path), relative(dirname(file.path), value))
      : value;
    refuseHiddenPaths(process, [{ by: `${key} of ${path}`, path: seen }]);
  }
  return file;
}
