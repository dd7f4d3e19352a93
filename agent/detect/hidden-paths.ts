/** Paths that a container sees: what stands at a path on the host is what a pod reads only where it is mounted there. */
import { isAbsolute, normalize } from 'node:path';
import type { DetectedPod, DetectedUnit } from './detected.ts';
import { parseManifest } from './manifest.ts';
import { NotUnderstood } from './not-understood.ts';
import { mountsOf } from './pod.ts';

/** A path that a component uses, and what names it: "--tls-cert-file". */
export interface UsedPath {
  by: string;
  path: string;
  /** True where the container may make the file itself: it matters only where something of the host is mounted. */
  mayBeMade?: boolean;
}

/**
 * Refuses a pod that has another file at one of the paths than the host. Empty paths are nothing.
 *
 * @throws NotUnderstood with the path
 */
export function refuseHiddenPaths(process: DetectedUnit | DetectedPod, used: readonly UsedPath[]): void {
  if (process.kind === 'unit') return;
  const manifest = parseManifest(process.manifest);
  const index = manifest.pod.spec.containers.findIndex(({ name }) => name === process.container);
  const container = manifest.pod.spec.containers[index];
  const mounts = container === undefined ? [] : mountsOf(manifest, container);
  const place = { path: manifest.file.path, line: manifest.lineAt(['spec', 'containers', index, 'volumeMounts']) };
  for (const { by, path, mayBeMade = false } of used) {
    if (path === '') continue;
    if (!isAbsolute(path)) throw new NotUnderstood(`${by}=${path} is no absolute path: write it out`, place);
    // the deepest mount counts
    const [mount] = mounts
      .filter((each) => `${normalize(path)}/`.startsWith(each.path === '/' ? '/' : `${each.path}/`))
      .sort((a, b) => b.path.length - a.path.length);
    if (mount !== undefined && mount.hostPath === mount.path) continue;
    if (mayBeMade && mount?.hostPath === undefined) continue;
    const from = mount === undefined ? 'is not mounted from the host' : `comes from ${mount.hostPath ?? 'elsewhere'}`;
    throw new NotUnderstood(`${by} names ${path}, which ${from}: mount it from the same path of the host`, place);
  }
}
