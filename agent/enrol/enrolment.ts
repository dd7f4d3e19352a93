/** What `join` recorded of the enrolment: where the server is, who this node is, and whether it may be disturbed. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../common/errors/app-error.ts';
import { makeFolder, writeFileDurably } from '../../common/files/durable.ts';
import type { Layout } from '../layout.ts';

const schema = z.strictObject({
  /** HOST:PORT of the bootstrap listener, to enrol again. */
  bootstrapEndpoint: z.string(),
  /** HOST:PORT of the fleet listener. */
  fleetEndpoint: z.string(),
  /** sha256:HEX of the fleet CA's public key. */
  pin: z.string(),
  nodeName: z.string(),
  role: z.enum(['control-plane', 'worker', 'etcd']),
  mode: z.enum(['enforce', 'observe']),
});

/** The enrolment of this node. */
export type Enrolment = z.infer<typeof schema>;

/** Reads it; undefined when the node has not joined. Rejects 'internal' when the file is damaged. */
export async function loadEnrolment(layout: Layout): Promise<Enrolment | undefined> {
  let text: string;
  try {
    text = await readFile(layout.enrolmentFile, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw AppError.from(error);
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new AppError('internal', `${layout.enrolmentFile} is damaged; join this node again`, { cause: error });
  }
}

/** Reads it, or rejects 'not-found' telling how to join. */
export async function requireEnrolment(layout: Layout): Promise<Enrolment> {
  const enrolment = await loadEnrolment(layout);
  if (enrolment !== undefined) return enrolment;
  throw new AppError(
    'not-found',
    'this node has not joined a fleet: run the line that "kube-mtls token create --print-join" prints on the server',
  );
}

/** Records it. */
export async function saveEnrolment(layout: Layout, enrolment: Enrolment): Promise<void> {
  await makeFolder(dirname(layout.enrolmentFile), { mode: 0o700 });
  await writeFileDurably(layout.enrolmentFile, `${JSON.stringify(enrolment, null, 2)}\n`, { mode: 0o600 });
}
