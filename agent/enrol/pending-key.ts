/** The key of an enrolment that has not succeeded yet: a broken first attempt is repeated with the same key. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder, removeDurably, writeFileDurably } from '../../common/files/durable.ts';
import type { Layout } from '../layout.ts';

/** The PEM of the pending key, made and written first when there is none. */
export async function pendingKey(layout: Layout, make: () => Promise<string>): Promise<string> {
  const path = pathOf(layout);
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  const pem = await make();
  await makeFolder(dirname(path), { mode: 0o700 });
  await writeFileDurably(path, pem, { mode: 0o600 });
  return pem;
}

/** Forgets it, once the identity is recorded. */
export async function removePendingKey(layout: Layout): Promise<void> {
  await removeDurably(pathOf(layout));
}

function pathOf(layout: Layout): string {
  return join(dirname(layout.enrolmentFile), 'pending.key');
}
