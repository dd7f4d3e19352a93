/** Authorities of an existing cluster, from the files that kubeadm keeps in /etc/kubernetes/pki. */
import { join } from 'node:path';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import type { Authority } from '../../common/names/names.ts';
import { type Certificate, keyMatches, parseCertificates } from '../../common/x509/certificate.ts';
import { assertStrongKey, loadKey, type PrivateKey } from '../../common/x509/keys.ts';
import { readIfThere, type StoredAuthority } from './authority-files.ts';

/** An authority that a cluster can have. */
export type ClusterAuthority = Exclude<Authority, 'fleet'>;

/** Names of the files in a cluster's folder, without their ending. */
const stems: Record<ClusterAuthority, string> = {
  kubernetes: 'ca',
  etcd: 'etcd/ca',
  'front-proxy': 'front-proxy-ca',
};

/** The same as a list. */
export const caStems: readonly (readonly [ClusterAuthority, stem: string])[] = [
  ['kubernetes', stems.kubernetes],
  ['etcd', stems.etcd],
  ['front-proxy', stems['front-proxy']],
];

/** Shorter than this a CA is of no use: it ends before the certificates that it would sign. */
const leastRestMs = 86_400_000;

/**
 * Reads and checks an authority. Other certificates in its .crt file stay trusted.
 *
 * @param folder "/etc/kubernetes/pki"
 * @returns undefined when the folder has neither certificate nor key
 * @throws AppError invalid-request naming the file, when it is no CA, its key is missing, weak or another's, or it expired
 */
export async function importAuthority(
  folder: string,
  authority: ClusterAuthority,
  nowMs: number,
): Promise<StoredAuthority | undefined> {
  const certFile = join(folder, `${stems[authority]}.crt`);
  const keyFile = join(folder, `${stems[authority]}.key`);
  const certPem = await readIfThere(certFile);
  const keyPem = await readIfThere(keyFile);
  if (certPem === undefined && keyPem === undefined) return undefined;
  if (certPem === undefined) throw refusal(certFile, 'it is missing, while its key is there');
  if (keyPem === undefined) {
    throw refusal(
      keyFile,
      'it is missing, so that nothing can be signed: put the key of the CA there for the time of init',
    );
  }

  const key = read(keyFile, () => loadKey(keyPem));
  const certificates = read(certFile, () => parseCertificates(certPem));
  const own = certificates.find((certificate) => keyMatches(key, certificate));
  if (own === undefined) throw refusal(keyFile, `it is not the key of ${certFile}`);
  assertUsable(certFile, own, key, nowMs);
  return { roots: [own, ...certificates.filter((certificate) => certificate !== own)], key };
}

function assertUsable(certFile: string, certificate: Certificate, key: PrivateKey, nowMs: number): void {
  if (!certificate.ca) throw refusal(certFile, 'it is not a CA certificate');
  if (certificate.notBefore.getTime() > nowMs) {
    throw refusal(certFile, `it is not valid before ${certificate.notBefore.toISOString()}: check the clock`);
  }
  if (certificate.notAfter.getTime() < nowMs + leastRestMs) {
    throw refusal(certFile, `it ends ${certificate.notAfter.toISOString()}: renew the CA of the cluster first`);
  }
  read(certFile, () => assertStrongKey(key.publicKey));
}

function read<T>(path: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw refusal(path, messageOf(error), error);
  }
}

function refusal(path: string, why: string, cause?: unknown): AppError {
  return new AppError('invalid-request', `cannot adopt ${path}: ${why}`, { cause });
}
