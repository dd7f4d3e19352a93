/** What runs a component, as far as the stages after the plan have to know: enough to restart it, watch it and read its log. */
import { z } from 'zod';
import type { DetectedProcess } from '../detect/detected.ts';

/** The reference as it stands in the journal of a change. */
export const processRefSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('unit'),
    /** "etcd.service". */
    unit: z.string().min(1),
  }),
  z.strictObject({
    kind: z.literal('static-pod'),
    /** Name that kubelet gives the pod: that of the manifest and the node's, "etcd-cp1". */
    pod: z.string().min(1),
    namespace: z.string().min(1),
    container: z.string().min(1),
    /** Absolute path of the manifest; writing it restarts the pod. */
    manifest: z.string().startsWith('/'),
  }),
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
    case 'static-pod': {
      const { name: pod, namespace, container, manifest } = detected;
      return { kind: 'static-pod', pod, namespace, container, manifest: manifest.path };
    }
    case 'none':
      return { kind: 'none' };
  }
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
