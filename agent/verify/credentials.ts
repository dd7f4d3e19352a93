/** Client certificates with which the checks call components. */
import { join } from 'node:path';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { parseCertificates } from '../../common/x509/certificate.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { createAuthority, newSerial, signCertificate } from '../../common/x509/sign.ts';
import { readSource } from '../detect/source-file.ts';
import type { ClientCredentials } from './probe.ts';

/** Half the lifetime of a stranger's certificate, in milliseconds. */
const STRANGER_MS = 3_600_000;

/**
 * Reads `FILE.crt` and `FILE.key` of a component's folder.
 *
 * @throws AppError not-found when one of them cannot be read
 */
export async function readCredentials(folder: string, file: string): Promise<ClientCredentials> {
  const path = join(folder, file);
  return readCredentialFiles(`${path}.crt`, `${path}.key`);
}

/**
 * Reads a certificate file and a key file, which may be one and the same.
 *
 * @throws AppError not-found when one of them cannot be read
 */
export async function readCredentialFiles(certFile: string, keyFile: string): Promise<ClientCredentials> {
  const certPem = await readPem(certFile); // before the key, so that where both are missing the same one is named each time
  return { certPem, keyPem: await readPem(keyFile) };
}

/**
 * Reads a text file. Its place may belong to the component's user: a named pipe or a device is refused instead of waited for.
 *
 * @throws AppError not-found when it cannot be read
 */
export async function readPem(path: string): Promise<string> {
  try {
    return (await readSource(path)).text;
  } catch (error) {
    throw new AppError('not-found', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * A client certificate from a CA that nobody trusts, although it carries the real one's name: what an attacker would
 * make. Whoever accepts it checks names instead of signatures.
 */
export async function makeStranger(rootsPem: string, nowMs: number): Promise<ClientCredentials> {
  const realName = parseCertificates(rootsPem)[0]?.commonName ?? 'kubernetes';
  const second = Math.floor(nowMs / 1000) * 1000; // certificates know no parts of it
  const notBefore = new Date(second - STRANGER_MS);
  const notAfter = new Date(second + STRANGER_MS);
  const authority = await createAuthority({
    commonName: realName,
    serial: newSerial(),
    algorithm: 'ecdsa-p256',
    notBefore,
    notAfter,
  });
  const key = await generateKey('ecdsa-p256');
  const certPem = signCertificate(
    {
      serial: newSerial(),
      commonName: 'kube-mtls:stranger',
      organizations: [],
      publicKey: key.publicKey,
      notBefore,
      notAfter,
      usages: ['client'],
      dnsNames: [],
      ipAddresses: [],
      uris: [],
    },
    authority,
  );
  return { certPem, keyPem: key.pem };
}
