/** What tests of certificates share. */
import { AppError } from '../errors/app-error.ts';
import type { KeyAlgorithm, PrivateKey } from './keys.ts';
import { type CertificateFields, createAuthority, newSerial, type Signer } from './sign.ts';

const dayMs = 86_400_000;
/** Rounds of PBKDF2 for keys that protect nothing: what the product takes, 600,000, is half of the time of some test files. */
export const fewIterations = 1_000;
/** Real time, for openssl makes CAs and verifies at its own time. */
export const notBefore = new Date(Date.now() - 5 * 60_000);
/** End of leaves. */
export const notAfter = new Date(Date.now() + dayMs);
/** End of authorities. */
export const caNotAfter = new Date(Date.now() + 10 * dayMs);

/** For assert.throws: an AppError invalid-request whose message has these words. */
export function refused(words: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.reason === 'invalid-request' && words.test(error.message);
}

/** Bytes of a text of characters below 256. */
export function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** Bytes of the one block of a PEM text. */
export function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----.*-----|\s/g, ''), 'base64');
}

/** True for an encrypted key with so many rounds of PBKDF2. */
export function hasIterations(pem: string, iterations: number): boolean {
  const hex = iterations.toString(16).padStart(6, '0');
  return derOf(pem).includes(Buffer.from(`0203${hex}`, 'hex')); // an INTEGER of three bytes
}

/** Fields of a kubelet's certificate with some changed. */
export function fieldsOf(key: PrivateKey, changes: Partial<CertificateFields> = {}): CertificateFields {
  return {
    serial: newSerial(),
    commonName: 'system:node:w1',
    organizations: ['system:nodes'],
    publicKey: key.publicKey,
    notBefore,
    notAfter,
    usages: ['server', 'client'],
    dnsNames: ['w1', '*.w1.example.org'],
    ipAddresses: ['10.0.0.1', '2001:DB8::1'],
    uris: ['spiffe://fleet/node/w1'],
    ...changes,
  };
}

/** A new CA that ends at caNotAfter. */
export function authority(algorithm: KeyAlgorithm = 'ecdsa-p256', commonName = 'kubernetes'): Promise<Signer> {
  return createAuthority({ commonName, serial: newSerial(), algorithm, notBefore, notAfter: caNotAfter });
}
