/** Certificates in kubeadm's folder that nothing on the node refers to: people and probes use some, others are left over. */
import type { Dirent } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Layout } from '../layout.ts';
import { below } from './source-file.ts';

const FOLDER = '/etc/kubernetes/pki';

/**
 * Paths of the files that may hold certificates and are none of those given, links to files followed; sorted.
 *
 * @param referenced - paths as they lie on disk
 */
export async function unreferencedFiles(layout: Layout, referenced: readonly string[]): Promise<string[]> {
  const known = new Set(await Promise.all(referenced.map(target)));
  const folder = below(layout, FOLDER);
  let entries: Dirent[];
  try {
    entries = await readdir(folder, { recursive: true, withFileTypes: true }); // without types it follows links to folders
  } catch {
    return []; // no such folder
  }
  const paths = entries
    .filter(({ name }) => /\.(crt|pem)$/.test(name))
    .map(({ parentPath, name }) => join(parentPath, name));
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
