/** Reads the files of roots that components trust now, for the guard of the plan. */
import { messageOf } from '../../common/errors/app-error.ts';
import type { Detected, DetectedNode } from '../detect/detected.ts';
import { below, readSource } from '../detect/source-file.ts';
import type { Layout } from '../layout.ts';
import type { TrustFile } from './plan-input.ts';
import { trustUses } from './trust-uses.ts';

/** All files of roots that the node's components name, each once. One that cannot be read says why. */
export async function readTrust(node: DetectedNode, layout: Layout): Promise<TrustFile[]> {
  const paths = new Set(node.components.flatMap(pathsOf));
  return Promise.all([...paths].map((path) => readTrustFile(path, layout)));
}

function pathsOf(detected: Detected): string[] {
  try {
    return trustUses(detected).flatMap(({ roots }) => ('path' in roots ? [roots.path] : []));
  } catch {
    return []; // the plan meets the same unreadable configuration and says so
  }
}

async function readTrustFile(path: string, layout: Layout): Promise<TrustFile> {
  try {
    return { path, pem: (await readSource(below(layout, path))).text, problem: '' };
  } catch (error) {
    return { path, pem: undefined, problem: messageOf(error) };
  }
}
