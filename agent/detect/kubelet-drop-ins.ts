/** The folder of --config-dir: files that override kubelet's configuration, ours among them. */
import { basename, join, relative } from 'node:path';
import type { Layout } from '../layout.ts';
import type { SourceFile } from './detected.ts';
import { managedKubeletKeys, parseKubeletConfig } from './kubelet-config.ts';
import { NotUnderstood } from './not-understood.ts';
import { refuseLink } from './refuse-link.ts';
import { below, readFolder, readSource, readSourceIfAny } from './source-file.ts';

/** Name of our file in the folder: after those that people and distributions number. */
export const KUBELET_DROP_IN = '90-kube-mtls.conf';

/** What the folder holds. */
export interface KubeletDropIns {
  /** Without ours, in the order in which they override. */
  configDropIns: SourceFile[];
  configDropInPath: string | undefined;
  configDropIn: SourceFile | undefined;
}

/**
 * Reads the folder as kubelet does: "*.conf", folders below it too, in lexical order (cmd/kubelet/app/server.go,
 * mergeKubeletConfigurations).
 *
 * @param folder - '' when kubelet is given none
 * @throws NotUnderstood for a file that is no KubeletConfiguration, and for one that is read after ours and undoes it
 */
export async function readKubeletDropIns(layout: Layout, folder: string): Promise<KubeletDropIns> {
  if (folder === '') return { configDropIns: [], configDropInPath: undefined, configDropIn: undefined };
  const configDropInPath = join(below(layout, folder), KUBELET_DROP_IN);
  await refuseLink(configDropInPath, 'remove the link');
  const configDropIns: SourceFile[] = [];
  for (const name of await confFiles(below(layout, folder))) {
    const path = join(below(layout, folder), name);
    if (path === configDropInPath) continue;
    const file = await readSource(path);
    const yaml = parseKubeletConfig(file);
    configDropIns.push(file);
    const undone = managedKubeletKeys.find((keys) => yaml.document.hasIn(keys));
    if (undone === undefined || compareWalk(name, KUBELET_DROP_IN) < 0) continue;
    throw new NotUnderstood(
      `sets ${undone.join('.')} and is read after ${KUBELET_DROP_IN}, which it would undo: rename it to 80-${basename(path)}`,
      { path, line: yaml.lineOf(yaml.document.getIn(undone, true)) },
    );
  }
  return { configDropIns, configDropInPath, configDropIn: await readSourceIfAny(configDropInPath) };
}

async function confFiles(folder: string): Promise<string[]> {
  // it does not follow links to folders, nor does kubelet
  const entries = (await readFolder(folder, { below: true })) ?? [];
  return entries
    .filter(({ name, isFolder }) => name.endsWith('.conf') && !isFolder)
    .map(({ path }) => relative(folder, path))
    .sort(compareWalk);
}

/** The order of Go's filepath.WalkDir: by bytes, one part of the path after the other. */
function compareWalk(a: string, b: string): number {
  const [left, right] = [a.split('/'), b.split('/')];
  for (const [index, part] of left.entries()) {
    const order = Buffer.compare(Buffer.from(part), Buffer.from(right[index] ?? ''));
    if (order !== 0) return order;
  }
  return left.length - right.length;
}
