/** The manifest of a static pod with our flags, variables and mounts in it; everything else stays as it was written. */
import { AppError } from '../../common/errors/app-error.ts';
import type { DetectedPod } from '../detect/detected.ts';
import type { FlagDialect } from '../detect/flags.ts';
import { type Manifest, type ManifestContainer, parseManifest } from '../detect/manifest.ts';
import { NotUnderstood } from '../detect/not-understood.ts';
import { probeEdits } from './edit-probe.ts';
import { editYaml, type YamlEdit, type YamlPath } from './edit-yaml.ts';
import { mountEdits } from './mount-folder.ts';
import { CHANGE_ID } from './placeholders.ts';
import { editFlags, type FlagEdit } from './rewrite-command.ts';

/** What shall change in a manifest. */
export interface ManifestEdits {
  /** By flag name without dashes. */
  flags: ReadonlyMap<string, FlagEdit>;
  /** Folders of the host that the container has to see under the same path. */
  folders: readonly string[];
  /** Variables of the container by name; undefined takes one out. */
  environment: ReadonlyMap<string, string | undefined>;
  /** Values of flags in the commands of exec probes, by flag name without dashes; a probe without the flag stays. */
  probeFlags: ReadonlyMap<string, string>;
}

/** The container that runs the component. */
export interface EditedContainer {
  manifest: Manifest;
  container: ManifestContainer;
  /** Where it stands. */
  path: YamlPath;
}

/** Annotation whose change makes kubelet restart the pod. */
const restartedBy = 'kube-mtls.io/restarted-by';

/**
 * The manifest's text with the edits. Done twice it changes nothing.
 *
 * @throws NotUnderstood with the manifest's path, for a manifest that cannot be edited
 */
export function rewriteManifest(pod: DetectedPod, dialect: FlagDialect, edits: ManifestEdits): string {
  const { path } = pod.manifest;
  const steps: ((at: EditedContainer) => YamlEdit[])[] = [
    (at) => flagEdits(at, pod, dialect, edits.flags),
    (at) => environmentEdits(at, pod, edits.environment),
    ...edits.folders.map((folder, index) => (at: EditedContainer) => mountEdits(at, folder, index)),
    (at) => probeEdits(at, edits.probeFlags),
  ];
  try {
    return steps.reduce((text, step) => editYaml(text, step(containerIn(text, pod))), pod.manifest.text);
  } catch (error) {
    if (error instanceof NotUnderstood || !(error instanceof AppError)) throw error;
    const [, line, message = error.message] = /^line (\d+): (.*)$/s.exec(error.message) ?? [];
    throw new NotUnderstood(message, { path, line: line === undefined ? undefined : Number(line) }, error);
  }
}

/**
 * The manifest's text with the placeholder of the change in an annotation: nothing of the pod changes but that kubelet
 * restarts it.
 *
 * @throws AppError invalid-request
 */
export function markRestart(text: string): string {
  return editYaml(text, [{ kind: 'set', path: ['metadata', 'annotations', restartedBy], to: CHANGE_ID }]);
}

function containerIn(text: string, pod: DetectedPod): EditedContainer {
  const manifest = parseManifest({ ...pod.manifest, text });
  const { containers } = manifest.pod.spec;
  const index = containers.findIndex(({ name }) => name === pod.container);
  const container = containers[index];
  if (container === undefined) throw new AppError('invalid-request', `the pod has no container ${pod.container}`);
  return { manifest, container, path: ['spec', 'containers', index] };
}

/** Items that go are taken out from behind, so that the places of the others stay. */
function flagEdits(
  { path, container }: EditedContainer,
  pod: DetectedPod,
  dialect: FlagDialect,
  flags: ReadonlyMap<string, FlagEdit>,
): YamlEdit[] {
  const { length } = container.command ?? [];
  const { tokens, appended } = editFlags(pod.command, dialect, flags, { path: pod.manifest.path });
  const at = (index: number): YamlPath =>
    index < length ? [...path, 'command', index] : [...path, 'args', index - length];
  const replaced = tokens.flatMap(({ wordIndex, fate }): YamlEdit[] =>
    typeof fate === 'string' ? [] : [{ kind: 'set', path: at(wordIndex), to: literal(fate.becomes) }],
  );
  const removed = tokens.flatMap(({ wordIndex, fate }): YamlEdit[] =>
    fate === 'remove' ? [{ kind: 'remove', path: at(wordIndex) }] : [],
  );
  const list = [...path, (container.args ?? []).length > 0 ? 'args' : 'command'];
  const added = appended.map((text): YamlEdit => ({ kind: 'append', path: list, item: literal(text) }));
  return [...replaced, ...removed.reverse(), ...added];
}

/** Of several variables with one name the last counts. As with flags, what goes is taken out from behind. */
function environmentEdits(
  { path, container }: EditedContainer,
  { environment }: DetectedPod,
  wanted: ReadonlyMap<string, string | undefined>,
): YamlEdit[] {
  const env = container.env ?? [];
  const list = [...path, 'env'];
  const edits = [...wanted].flatMap(([name, value]): YamlEdit[] => {
    if (value === undefined) return [];
    const last = env.findLastIndex((variable) => variable.name === name);
    if (last < 0) return [{ kind: 'append', path: list, item: { name, value: literal(value) } }];
    if (env[last]?.valueFrom != null) {
      throw new AppError('invalid-request', `the variable ${name} has its value from elsewhere: write it out`);
    }
    return environment.get(name) === value ? [] : [{ kind: 'set', path: [...list, last, 'value'], to: literal(value) }];
  });
  const removed = env.flatMap(({ name }, index): YamlEdit[] =>
    wanted.has(name) && wanted.get(name) === undefined ? [{ kind: 'remove', path: [...list, index] }] : [],
  );
  return [...edits, ...removed.reverse()];
}

/** kubelet puts variables in for $(NAME), and makes $$ one dollar sign. */
function literal(text: string): string {
  return text.replaceAll('$', '$$$$');
}
