/** Roots of an existing cluster that shall be trusted until every node has moved to CAs of ours; their keys are not asked for. */
import { join } from 'node:path';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { type Certificate, parseCertificates } from '../../common/x509/certificate.ts';
import { readIfThere } from './authority-files.ts';
import { type ClusterAuthority, caStems } from './import-authority.ts';

/** The roots of an authority, in the order of the file. */
export type OldRoots = ReadonlyMap<ClusterAuthority, [Certificate, ...Certificate[]]>;

/**
 * Reads the roots in a folder like /etc/kubernetes/pki. An authority that the folder does not have is left out.
 *
 * @throws AppError invalid-request naming the file that cannot be used, or when there is no ca.crt
 */
export async function readOldRoots(folder: string): Promise<OldRoots> {
  const found = new Map<ClusterAuthority, [Certificate, ...Certificate[]]>();
  for (const [authority, stem] of caStems) {
    const file = join(folder, `${stem}.crt`);
    const pem = await readIfThere(file);
    if (pem === undefined) continue;
    const [first, ...others] = read(file, pem);
    for (const { ca, subject } of [first, ...others]) {
      if (!ca) throw refusal(file, `${subject} is not a CA certificate`);
    }
    found.set(authority, [first, ...others]);
  }
  if (!found.has('kubernetes')) {
    throw new AppError('invalid-request', `there is no ca.crt in ${folder}: give the folder of the cluster's CAs`);
  }
  return found;
}

function read(file: string, pem: string): [Certificate, ...Certificate[]] {
  let certificates: Certificate[];
  try {
    certificates = parseCertificates(pem);
  } catch (error) {
    throw refusal(file, messageOf(error), error);
  }
  const [first, ...others] = certificates;
  if (first === undefined) throw refusal(file, 'it holds no certificate');
  return [first, ...others];
}

function refusal(file: string, why: string, cause?: unknown): AppError {
  return new AppError('invalid-request', `cannot trust ${file}: ${why}`, { cause });
}
