/** The version of a program in a container, by the tag of its image. */
import type { DetectedPod } from './detected.ts';
import { parseManifest } from './manifest.ts';

/** "1.20.2" for registry/kube-apiserver:v1.20.2, "3.4.13" for etcd:3.4.13-0; empty for a tag that is no version. */
export function imageVersion({ manifest, container }: DetectedPod): string {
  const image = parseManifest(manifest).pod.spec.containers.find(({ name }) => name === container)?.image ?? '';
  return versionOfImage(image);
}

/** As {@link imageVersion}, of the image's name. A release candidate keeps its suffix, a build's number goes. */
export function versionOfImage(image: string): string {
  const [, version = '', candidate = ''] =
    /:v?(\d+\.\d+\.\d+)(-(?:alpha|beta|rc)\.\d+)?(?![\d.])[^/:@]*(?:@[^/]*)?$/.exec(image) ?? [];
  return version + candidate;
}
