/** What tests of manifests share: edits as plain objects, and small pods. */
import type { DetectedPod } from '../detect/detected.ts';
import { apiserverDialect, etcdDialect } from '../detect/flag-dialects.ts';
import type { FlagEdit } from './rewrite-command.ts';
import { type ManifestEdits, rewriteManifest } from './rewrite-manifest.ts';

/** Edits of a manifest; what is absent is not edited. */
export interface Wanted {
  flags?: Record<string, FlagEdit>;
  folders?: string[];
  environment?: Record<string, string | undefined>;
  probeFlags?: Record<string, string>;
}

/** The text of a pod's manifest with the edits. */
export function rewrite(
  pod: DetectedPod,
  { flags = {}, folders = [], environment = {}, probeFlags = {} }: Wanted,
): string {
  const edits: ManifestEdits = {
    flags: new Map(Object.entries(flags)),
    folders,
    environment: new Map(Object.entries(environment)),
    probeFlags: new Map(Object.entries(probeFlags)),
  };
  return rewriteManifest(pod, pod.container === 'etcd' ? etcdDialect : apiserverDialect, edits);
}

/** A small pod, its container's lines and those of the rest of its spec. */
export const small = (lines: string, rest = '') =>
  `kind: Pod\nmetadata:\n  name: etcd\nspec:\n  containers:\n  - name: etcd\n${lines}${rest}`;
