/** Components that run as static pods: enough to say so, this version leaves them alone. */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isMap, isScalar, isSeq } from 'yaml';
import { messageOf } from '../../common/errors/app-error.ts';
import { type Component, components } from '../../common/names/names.ts';
import type { Layout } from '../layout.ts';
import type { Problem, SourceFile } from './detected.ts';
import { NotUnderstood, toProblem } from './not-understood.ts';
import { below, codeOf, readSource } from './source-file.ts';
import { parseYamlFile } from './yaml-file.ts';

/** kubeadm's folder of manifests. */
const FOLDER = '/etc/kubernetes/manifests';

/** A problem for each component that a manifest names. */
export async function findStaticPods(layout: Layout): Promise<Problem[]> {
  const folder = below(layout, FOLDER);
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    return components.all.map((component) =>
      toProblem(component, new NotUnderstood(`cannot be read: ${messageOf(error)}`, { path: folder }, error)),
    );
  }
  const problems: Problem[] = [];
  // kubelet reads every file there that does not begin with a dot
  for (const name of names.filter((each) => !each.startsWith('.')).sort()) {
    problems.push(...(await problemsOf(join(folder, name))));
  }
  return problems;
}

async function problemsOf(path: string): Promise<Problem[]> {
  try {
    const found = componentsIn(await readSource(path));
    return found.map((component) => ({
      component,
      message: 'runs as a static pod, which this version leaves alone',
      path,
    }));
  } catch (error) {
    // what it would run is only known by its name
    const named = components.all.filter((component) => basename(path).includes(component));
    return named.map((component) => toProblem(component, error));
  }
}

/** Components among the containers of a pod: by the container's name or the program of its command. */
function componentsIn(file: SourceFile): Component[] {
  const containers = parseYamlFile(file).document.getIn(['spec', 'containers'], true);
  if (!isSeq(containers)) return [];
  const words = containers.items.flatMap((item): string[] => {
    if (!isMap(item)) return [];
    const command = item.get('command');
    const program = isSeq(command) ? command.items[0] : undefined;
    return [item.get('name'), isScalar(program) ? program.value : undefined]
      .filter((word) => typeof word === 'string')
      .map((word) => basename(word));
  });
  return components.all.filter((component) => words.includes(component));
}
