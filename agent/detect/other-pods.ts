/** Kubeconfigs of static pods that are no component: kube-vip with admin.conf, monitoring, whatever calls the API server from here. */
import type { Layout } from '../layout.ts';
import { type CertificateReference, kubeconfigReferences } from './certificate-references.ts';
import type { SourceFile } from './detected.ts';
import { type ManifestContainer, parseManifest } from './manifest.ts';
import { NotUnderstood } from './not-understood.ts';
import { type ContainerMount, mountsOf } from './pod.ts';
import { below, readSource } from './source-file.ts';
import { readManifests } from './static-pods.ts';

/** Paths of a container that are tried; a pod that names more is no client. */
const MOST_PATHS = 200;

/**
 * Certificates of the kubeconfigs that such pods mount as files, or name in their command, arguments and variables. What is no
 * kubeconfig, and a manifest that is not understood, is passed over: nothing of it is changed.
 *
 * @param folder - as of findStaticPods
 * @param components - manifests of components, as they lie on disk
 */
export async function otherPodReferences(
  layout: Layout,
  folder: string | undefined,
  components: ReadonlySet<string>,
): Promise<CertificateReference[]> {
  const files = folder === undefined ? [] : await readManifests(below(layout, folder));
  if (files instanceof NotUnderstood) return [];
  const found: CertificateReference[] = [];
  for (const file of files) {
    if (file instanceof NotUnderstood || components.has(file.path)) continue;
    for (const { pod, path } of pathsIn(file)) found.push(...(await referencesIn(layout, pod, path)));
  }
  return found;
}

/** Files of the host that the pod's containers may read as kubeconfigs, each once. */
function pathsIn(file: SourceFile): { pod: string; path: string }[] {
  try {
    const manifest = parseManifest(file);
    const { containers, initContainers } = manifest.pod.spec;
    const paths = [...containers, ...(initContainers ?? [])].flatMap((container) => {
      const mounts = mountsOf(manifest, container);
      const named = wordsOf(container).flatMap((word) => onHost(/(?:^|=)(\/.*)$/s.exec(word)?.[1] ?? '', mounts));
      return [...mounts.flatMap(({ hostPath }) => hostPath ?? []), ...named];
    });
    const pod = manifest.pod.metadata.name;
    return [...new Set(paths)].slice(0, MOST_PATHS).map((path) => ({ pod, path }));
  } catch (error) {
    if (error instanceof NotUnderstood) return [];
    throw error;
  }
}

function wordsOf({ command, args, env }: ManifestContainer): string[] {
  return [...(command ?? []), ...(args ?? []), ...(env ?? []).map(({ value }) => value ?? '')];
}

/** Where a path of the container lies on the host; the innermost mount counts. */
function onHost(path: string, mounts: readonly ContainerMount[]): string[] {
  const around = mounts.filter((mount) => path === mount.path || path.startsWith(`${mount.path.replace(/\/$/, '')}/`));
  const [mount] = around.sort((a, b) => b.path.length - a.path.length);
  if (mount?.hostPath === undefined) return [];
  return [mount.hostPath.replace(/\/$/, '') + path.slice(mount.path.replace(/\/$/, '').length)];
}

async function referencesIn(layout: Layout, pod: string, path: string): Promise<CertificateReference[]> {
  try {
    const file = await readSource(below(layout, path));
    if (!/^\s*["']?current-context["']?\s*:/m.test(file.text)) return [];
    return kubeconfigReferences(`static pod ${pod}`, file);
  } catch (error) {
    if (error instanceof NotUnderstood) return []; // folders, sockets, binaries: whatever a pod mounts
    throw error;
  }
}
