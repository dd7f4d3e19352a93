/** Certificates in kubeadm's folder that nothing on the node refers to: people and probes use some, others are left over. */
import { realpath } from 'node:fs/promises';
import { listBounded } from '../../common/files/read-bounded.ts';
import type { Layout } from '../layout.ts';
import { below } from './source-file.ts';

const FOLDER = '/etc/kubernetes/pki';
/** kubeadm makes 22 files; etcd's user may own a folder among them. */
const MOST_ENTRIES = 1000;

/**
 * Paths of the files that may hold certificates and are none of those given, links to files followed; sorted.
 *
 * @param referenced - paths as they lie on disk
 */
export async function unreferencedFiles(layout: Layout, referenced: readonly string[]): Promise<string[]> {
  const known = new Set(await Promise.all(referenced.map(target)));
  const folder = below(layout, FOLDER);
  const options = { mostEntries: MOST_ENTRIES, below: true };
  const entries = (await listBounded(folder, options).catch(() => [])) ?? []; // no such folder, or one full of something else
  const paths = entries.filter(({ name }) => /\.(crt|pem)$/.test(name)).map(({ path }) => path);
  const targets = await Promise.all(paths.map(target));
  return paths.filter((_, index) => !known.has(targets[index] ?? '')).sort();
}

async function target(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return path; // it is missing, which is said elsewhere
  }
}
