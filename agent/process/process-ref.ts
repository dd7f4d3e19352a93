/** What runs a component, as far as the stages after the plan have to know: enough to restart it, watch it and read its log. */
import { z } from 'zod';
import type { DetectedPod, DetectedProcess } from '../detect/detected.ts';

/** A static pod as it stands in the journal of a change. */
export const podRefSchema = z.strictObject({
  kind: z.literal('static-pod'),
  /** Name that kubelet gives the pod: that of the manifest and the node's, "etcd-cp1". */
  pod: z.string().min(1),
  namespace: z.string().min(1),
  container: z.string().min(1),
  /** Absolute path of the manifest; writing it restarts the pod. */
  manifest: z.string().startsWith('/'),
});

/** The reference as it stands in the journal of a change. */
export const processRefSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('unit'),
    /** "etcd.service". */
    unit: z.string().min(1),
  }),
  podRefSchema,
  /** Nothing runs: files that people use. */
  z.strictObject({ kind: z.literal('none') }),
]);

/** What runs a component. */
export type ProcessRef = z.infer<typeof processRefSchema>;

/** The reference to a process that was detected. */
export function refOf(detected: DetectedProcess): ProcessRef {
  switch (detected.kind) {
    case 'unit':
      return { kind: 'unit', unit: detected.name };
    case 'static-pod':
      return refOfPod(detected);
    case 'none':
      return { kind: 'none' };
  }
}

/** The reference to a static pod that was detected. */
export function refOfPod({ name: pod, namespace, container, manifest }: DetectedPod): z.infer<typeof podRefSchema> {
  return { kind: 'static-pod', pod, namespace, container, manifest: manifest.path };
}

/** How a person calls it: "etcd.service", "etcd-cp1", or '' where nothing runs. */
export function nameOf(ref: ProcessRef): string {
  switch (ref.kind) {
    case 'unit':
      return ref.unit;
    case 'static-pod':
      return ref.pod;
    case 'none':
      return '';
  }
}
