/** Manifests of static pods, as far as detection looks at them. YAML or JSON, which is YAML too. */
import { z } from 'zod';
import { messageOf } from '../../common/errors/app-error.ts';
import type { SourceFile } from './detected.ts';
import { NotUnderstood } from './not-understood.ts';
import { parseYamlFile, type YamlFile } from './yaml-file.ts';

const words = z.array(z.string()).nullish();
const securitySchema = z
  .object({ runAsUser: z.int().nullish(), runAsGroup: z.int().nullish(), runAsNonRoot: z.boolean().nullish() })
  .nullish();

const containerSchema = z.object({
  name: z.string(),
  image: z.string().nullish(),
  command: words,
  args: words,
  env: z
    .array(z.object({ name: z.string(), value: z.string().nullish(), valueFrom: z.unknown().optional() }))
    .nullish(),
  envFrom: z.array(z.unknown()).nullish(),
  volumeMounts: z
    .array(
      z.object({
        name: z.string(),
        mountPath: z.string(),
        readOnly: z.boolean().nullish(),
        subPath: z.string().nullish(),
        subPathExpr: z.string().nullish(),
      }),
    )
    .nullish(),
  securityContext: securitySchema,
});

const manifestSchema = z.object({
  kind: z.literal('Pod'),
  metadata: z.object({ name: z.string().min(1), namespace: z.string().nullish() }),
  spec: z.object({
    containers: z.array(containerSchema),
    /** Looked at for the inventory alone. */
    initContainers: z.array(containerSchema).nullish().catch(undefined),
    volumes: z.array(z.object({ name: z.string(), hostPath: z.object({ path: z.string() }).nullish() })).nullish(),
    securityContext: securitySchema,
  }),
});

/** Whatever stands in a manifest, taken without complaint: enough to see whom it concerns. */
const sketchSchema = z.object({
  metadata: z.object({ name: z.string().catch('') }).catch({ name: '' }),
  spec: z.object({
    containers: z.array(
      z.object({
        name: z.string().catch(''),
        image: z.string().catch(''),
        command: z.array(z.string().catch('')).catch([]),
        args: z.array(z.string().catch('')).catch([]),
      }),
    ),
  }),
});

/** A container as it is written. */
export type ManifestContainer = z.infer<typeof containerSchema>;
/** A pod as it is written. */
export type ManifestPod = z.infer<typeof manifestSchema>;
/** A container of a manifest that may hold anything. */
export type SketchedContainer = z.infer<typeof sketchSchema>['spec']['containers'][number];

/** A manifest that is understood. */
export interface Manifest {
  file: SourceFile;
  pod: ManifestPod;
  /** Line of what stands at these keys, counted from 1. */
  lineAt(keys: readonly (string | number)[]): number;
}

/**
 * Reads a manifest.
 *
 * @throws NotUnderstood with the line when it is no YAML, holds several documents (kubelet reads the first alone), or is
 *   no pod that kubelet would take
 */
export function parseManifest(file: SourceFile): Manifest {
  const yaml = parseYamlFile(file);
  const lineAt = (keys: readonly PropertyKey[]): number => {
    for (let length = keys.length; length > 0; length--) {
      const node = yaml.document.getIn(keys.slice(0, length), true);
      if (node !== undefined) return yaml.lineOf(node);
    }
    return 1;
  };
  const { data, error } = manifestSchema.safeParse(plainValue(file, yaml));
  if (data !== undefined) return { file, pod: data, lineAt };
  const [issue] = error.issues;
  const message = issue === undefined ? '' : `${issue.path.join('.')}: ${issue.message}`;
  throw new NotUnderstood(`is no manifest that is understood: ${message}`, {
    path: file.path,
    line: lineAt(issue?.path ?? []),
  });
}

/**
 * Name and containers of whatever pod stands in a file; no containers where there is none.
 *
 * @throws NotUnderstood when it is no YAML of one document
 */
export function sketchManifest(file: SourceFile): { podName: string; containers: SketchedContainer[] } {
  const { data } = sketchSchema.safeParse(plainValue(file, parseYamlFile(file)));
  return { podName: data?.metadata.name ?? '', containers: data?.spec.containers ?? [] };
}

function plainValue(file: SourceFile, yaml: YamlFile): unknown {
  try {
    return yaml.document.toJS();
  } catch (error) {
    throw new NotUnderstood(`the aliases in it cannot be resolved: ${messageOf(error)}`, { path: file.path }, error);
  }
}
