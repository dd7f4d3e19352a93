/** The folder of --config-dir: files that override kubelet's configuration, ours among them. */
import { readdir } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { messageOf } from '../../common/errors/app-error.ts';
import type { Layout } from '../layout.ts';
import type { SourceFile } from './detected.ts';
import { managedKubeletKeys, parseKubeletConfig } from './kubelet-config.ts';
import { NotUnderstood } from './not-understood.ts';
import { refuseLink } from './refuse-link.ts';
import { below, codeOf, readSource, readSourceIfAny } from './source-file.ts';

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
  try {
    // without types it follows links to folders, which kubelet does not
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.name.endsWith('.conf') && !entry.isDirectory())
      .map(({ parentPath, name }) => relative(folder, join(parentPath, name)))
      .sort(compareWalk);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw new NotUnderstood(`cannot be read: ${messageOf(error)}`, { path: folder }, error);
  }
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
