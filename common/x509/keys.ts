/** Private keys, made and checked by node:crypto. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { toPem } from './pem.ts';
import { encryptPkcs8 } from './pkcs8.ts';
import { refusal } from './refuse.ts';

/** Kinds of keys that are made. */
export type KeyAlgorithm = 'ecdsa-p256' | 'ecdsa-p384' | 'rsa-2048' | 'rsa-3072' | 'rsa-4096';

/** Kinds of keys as cipher suites tell them apart. */
export type KeyKind = 'ECDSA' | 'RSA';

/** A private key with its public half. */
export interface PrivateKey {
  key: KeyObject;
  publicKey: KeyObject;
  /** PKCS#8, PEM, not encrypted: a secret. */
  pem: string;
}

/** OpenSSL's names of the curves that are strong enough and that Kubernetes components speak. */
const strongCurves: readonly string[] = ['prime256v1', 'secp384r1'];
/** Rounds of PBKDF2 with HMAC-SHA256 over a passphrase: OWASP Password Storage Cheat Sheet, 2023. */
const ITERATIONS = 600_000;
/** Larger RSA keys and exponents only cost time, which an attacker could make us spend. */
const maxModulusBits = 8192;
const maxExponent = 2n ** 32n;

/** The kind of the keys that an algorithm makes. */
export function kindOfAlgorithm(algorithm: KeyAlgorithm): KeyKind {
  return algorithm.startsWith('rsa') ? 'RSA' : 'ECDSA';
}

/** The kind of a key; undefined for one that is neither. */
export function kindOfKey({ asymmetricKeyType }: KeyObject): KeyKind | undefined {
  if (asymmetricKeyType === 'ec') return 'ECDSA';
  return asymmetricKeyType === 'rsa' ? 'RSA' : undefined;
}

/** A new key; RSA has the public exponent 65537. */
export async function generateKey(algorithm: KeyAlgorithm): Promise<PrivateKey> {
  const generate = promisify(generateKeyPair);
  switch (algorithm) {
    case 'ecdsa-p256':
      return privateKeyOf((await generate('ec', { namedCurve: 'prime256v1' })).privateKey);
    case 'ecdsa-p384':
      return privateKeyOf((await generate('ec', { namedCurve: 'secp384r1' })).privateKey);
    case 'rsa-2048':
    case 'rsa-3072':
    case 'rsa-4096':
      return privateKeyOf((await generate('rsa', { modulusLength: Number(algorithm.slice(4)) })).privateKey);
  }
}

/**
 * Loads a key from PEM: PKCS#8 (also encrypted), PKCS#1 or SEC1. Its strength is not checked here.
 *
 * @throws AppError invalid-request when it is no key, or the passphrase is missing or wrong
 */
export function loadKey(pem: string, passphrase?: string): PrivateKey {
  try {
    return privateKeyOf(createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase }));
  } catch (error) {
    if (!pem.includes('ENCRYPTED')) {
      throw refusal('the private key cannot be read: it must be PEM, PKCS#8, PKCS#1 or SEC1', error);
    }
    const why = passphrase === undefined ? 'no passphrase was given' : 'the passphrase does not open it';
    throw refusal(`the private key is encrypted and ${why}`, error);
  }
}

/**
 * The key as encrypted PKCS#8, PEM (PBES2, AES-256-CBC). Takes some 0.1 s on purpose, and so does loading it.
 *
 * @param iterations rounds of PBKDF2, 600,000 unless a test, whose keys protect nothing, asks for fewer
 * @throws AppError invalid-request for a passphrase that is empty or longer than 1000 bytes
 */
export function encryptKey(key: PrivateKey, passphrase: string, iterations = ITERATIONS): string {
  const length = Buffer.byteLength(passphrase);
  // OpenSSL reads no longer ones
  if (length === 0 || length > 1000) throw refusal('the passphrase of a key must have 1 to 1000 bytes');
  const der = key.key.export({ type: 'pkcs8', format: 'der' });
  return toPem('ENCRYPTED PRIVATE KEY', encryptPkcs8(der, passphrase, iterations));
}

/** "sha256:" and the hex SHA-256 of the SubjectPublicKeyInfo, as kubeadm's --discovery-token-ca-cert-hash has it. */
export function publicKeyPin(publicKey: KeyObject): string {
  const info = publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(info).digest('hex')}`;
}

/**
 * Takes P-256, P-384, and RSA of 2048 to 8192 bits with an odd exponent of at least 65537 (NIST SP 800-131A, FIPS 186-5).
 *
 * @throws AppError invalid-request for any other key, with what was found
 */
export function assertStrongKey(publicKey: KeyObject): void {
  const { namedCurve = '', modulusLength = 0, publicExponent = 0n } = publicKey.asymmetricKeyDetails ?? {};
  const instead = 'make an ECDSA P-256 or P-384 key, or an RSA key of at least 2048 bits';
  if (publicKey.asymmetricKeyType === 'ec') {
    if (!strongCurves.includes(namedCurve)) throw refusal(`the curve ${namedCurve} is not accepted: ${instead}`);
  } else if (publicKey.asymmetricKeyType === 'rsa') {
    if (modulusLength < 2048 || modulusLength > maxModulusBits) {
      throw refusal(`an RSA key of ${modulusLength} bits is not accepted: ${instead}`);
    }
    if (publicExponent < 65537n || publicExponent > maxExponent || publicExponent % 2n === 0n) {
      throw refusal('an RSA key with such a public exponent is not accepted: make one with 65537');
    }
  } else {
    throw refusal(`a key of type ${publicKey.asymmetricKeyType ?? publicKey.type} is not accepted: ${instead}`);
  }
}

function privateKeyOf(key: KeyObject): PrivateKey {
  return {
    key,
    publicKey: createPublicKey(key),
    pem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
