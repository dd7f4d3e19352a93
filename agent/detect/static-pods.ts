/** Components that run as static pods: the manifests in the folder that kubelet reads, or those that agent.yaml names. */
import { basename, join } from 'node:path';
import type { Component } from '../../common/names/names.ts';
import type { DetectedPod, SourceFile } from './detected.ts';
import { parseManifest, type SketchedContainer, sketchManifest } from './manifest.ts';
import { NotUnderstood } from './not-understood.ts';
import type { DetectOverrides } from './overrides.ts';
import { type PodDeps, readPod } from './pod.ts';
import { refuseLink } from './refuse-link.ts';
import { below, codeOf, readFolder, readSource, readSourceIfAny } from './source-file.ts';

/** By component: its pod, or why what runs it is not understood. */
export type StaticPods = ReadonlyMap<Component, DetectedPod | NotUnderstood>;

/** A manifest and a component that it concerns. */
interface Mention {
  file: SourceFile;
  /** Index of the container that runs the program itself, or why it is not understood. */
  container: number | NotUnderstood;
}

/** Programs that are looked for in manifests. kube-proxy is one only to be named: no layout has it so today. */
const PROGRAMS = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy'] as const;

/**
 * Finds the pods.
 *
 * @param folder - the folder, or one manifest, that kubelet reads; undefined when it reads none
 */
export async function findStaticPods(
  deps: PodDeps,
  folder: string | undefined,
  overrides: DetectOverrides,
): Promise<StaticPods> {
  const files = folder === undefined ? [] : await readManifests(below(deps.layout, folder));
  const pods = new Map<Component, DetectedPod | NotUnderstood>();
  for (const component of PROGRAMS) {
    try {
      const named = overrides.components?.[component]?.manifest;
      const among = named === undefined ? files : [await readSource(below(deps.layout, named))];
      if (among instanceof NotUnderstood) throw among;
      const found = only(component, among);
      if (found === undefined && named !== undefined) {
        throw new NotUnderstood(`agent.yaml names it as the manifest of ${component}, which it does not run`, {
          path: below(deps.layout, named),
        });
      }
      if (found === undefined) continue;
      if (found.container instanceof NotUnderstood) throw found.container;
      await refuseLink(found.file.path, `name that as components.${component}.manifest in agent.yaml`);
      pods.set(component, await readPod(deps, component, parseManifest(found.file), found.container));
    } catch (error) {
      if (!(error instanceof NotUnderstood)) throw error;
      pods.set(component, error);
    }
  }
  return pods;
}

/** The files that kubelet reads: all that do not begin with a dot, whatever they are called, and no folders. */
export async function readManifests(folder: string): Promise<(SourceFile | NotUnderstood)[] | NotUnderstood> {
  let names: string[];
  try {
    const entries = (await readFolder(folder)) ?? [];
    names = entries.filter(({ name, isFolder }) => !isFolder && !name.startsWith('.')).map(({ name }) => name);
  } catch (error) {
    if (!(error instanceof NotUnderstood)) throw error;
    // kubelet takes one manifest in place of a folder
    if (codeOf(error.cause) !== 'ENOTDIR') return error;
    names = [''];
  }
  const files: (SourceFile | NotUnderstood)[] = [];
  for (const name of names.sort()) {
    try {
      const file = await readSourceIfAny(name === '' ? folder : join(folder, name));
      if (file !== undefined) files.push(file);
    } catch (error) {
      if (!(error instanceof NotUnderstood)) throw error;
      files.push(error);
    }
  }
  return files;
}

/** What concerns a component: a manifest that runs it counts before those that only look so. */
function only(component: Component, files: readonly (SourceFile | NotUnderstood)[]): Mention | undefined {
  const mentions = files.flatMap((file) => mentionIn(component, file));
  const [first, second] = mentions.filter(({ container }) => typeof container === 'number');
  if (first === undefined || second === undefined) return first ?? mentions[0];
  throw new NotUnderstood(
    `runs ${component} as ${basename(first.file.path)} does, and kubelet starts both: move one of them to another folder`,
    { path: second.file.path },
  );
}

function mentionIn(component: Component, file: SourceFile | NotUnderstood): Mention[] {
  if (file instanceof NotUnderstood) return byName(component, file);
  try {
    const { podName, containers } = sketchManifest(file);
    const running = containers.flatMap(({ command }, index) => (basename(command[0] ?? '') === component ? index : []));
    const named = running.filter((index) => containers[index]?.name === component);
    const [index, another] = named.length > 0 ? named : running;
    if (another !== undefined) {
      return [hidden(file, `runs ${component} in several containers: name the one that counts ${component}`)];
    }
    if (index !== undefined) return [{ file, container: index }];
    const looks = containers.find((container) =>
      looksLike(component, container, containers.length === 1 ? podName : ''),
    );
    return looks === undefined ? [] : [hidden(file, whatHides(component, looks))];
  } catch (error) {
    if (!(error instanceof NotUnderstood)) throw error;
    return byName(component, error);
  }
}

/** What a file that cannot be read would run is only known by its name. */
function byName(component: Component, error: NotUnderstood): Mention[] {
  const { path } = error.place;
  const file = { path, text: '', mode: 0, uid: 0, gid: 0 };
  return basename(path).includes(component) ? [{ file, container: error }] : [];
}

function hidden(file: SourceFile, message: string): Mention {
  return { file, container: new NotUnderstood(message, { path: file.path }) };
}

/** True for a container that is called like the program, or that seems to start it by a wrapper, a shell or its image. */
function looksLike(component: Component, { name, image, command, args }: SketchedContainer, podName: string): boolean {
  if (name === component || podName === component) return true;
  const imageName = basename(image).replace(/[:@].*$/, '');
  if (command.length === 0 && imageName === component) return true;
  const wrapped = new RegExp(`^(?:\\S*/s?bin/)?${component}$`);
  const scripted = new RegExp(`(?:^|[;&|(]\\s*|\\bexec\\s+|\\w=\\S*\\s+)(?:\\S*/)?${component}\\s`);
  return [...command, ...args].some((word) => wrapped.test(word) || scripted.test(word));
}

function whatHides(component: Component, { name, command }: SketchedContainer): string {
  const program = command[0];
  return program === undefined
    ? `the image of the container ${name} decides what runs: write command: [${component}] into the manifest`
    : `the container ${name} runs ${program} and not ${component} itself, which is not understood`;
}
