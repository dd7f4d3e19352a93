/** Signatures over DER, made and verified by node:crypto. Sources: RFC 5758 (ECDSA), RFC 4055 (RSA). */
import { type KeyObject, sign, verify } from 'node:crypto';
import { type Asn1, contentOf, oid, oidOf, partsOf, primitive, sequence } from './forge.ts';
import { assertStrongKey } from './keys.ts';
import { oids } from './oids.ts';
import { refusal } from './refuse.ts';

interface SignatureAlgorithm {
  id: string;
  keyType: 'ec' | 'rsa';
  hash: 'sha256' | 'sha384' | 'sha512';
}

/** What requests may be signed with; no SHA-1. */
const accepted: readonly SignatureAlgorithm[] = [
  { id: oids.ecdsaWithSha256, keyType: 'ec', hash: 'sha256' },
  { id: oids.ecdsaWithSha384, keyType: 'ec', hash: 'sha384' },
  { id: oids.ecdsaWithSha512, keyType: 'ec', hash: 'sha512' },
  { id: oids.sha256WithRsa, keyType: 'rsa', hash: 'sha256' },
  { id: oids.sha384WithRsa, keyType: 'rsa', hash: 'sha384' },
  { id: oids.sha512WithRsa, keyType: 'rsa', hash: 'sha512' },
];

/** The AlgorithmIdentifier that signDer uses with this key: SHA-384 for P-384, else SHA-256. Throws AppError invalid-request for a weak or unknown key. */
export function signatureAlgorithm(publicKey: KeyObject): Asn1 {
  return identifierOf(algorithmFor(publicKey));
}

/** Signs bytes with the algorithm that signatureAlgorithm names. */
export function signDer(privateKey: KeyObject, publicKey: KeyObject, bytes: Uint8Array): Buffer {
  return sign(algorithmFor(publicKey).hash, bytes, privateKey);
}

/**
 * Checks a signature over exactly these bytes.
 *
 * @throws AppError invalid-request for an algorithm that is not accepted or does not fit the key, or a wrong signature
 */
export function assertSigned(
  publicKey: KeyObject,
  algorithm: Asn1 | undefined,
  bytes: Uint8Array,
  signature: Uint8Array,
): void {
  const [id, parameters, ...more] = partsOf(algorithm, 'sequence');
  const found = accepted.find((one) => one.id === oidOf(id));
  if (found === undefined || found.keyType !== publicKey.asymmetricKeyType || more.length > 0) {
    throw refusal('the signature algorithm is not accepted: sign with SHA-256, and ECDSA or RSA as the key is');
  }
  // RSA has NULL for parameters, ECDSA has none; a NULL is left out by some writers and taken
  if (parameters !== undefined && (found.keyType === 'ec' || contentOf(parameters, 'null').length > 0)) {
    throw refusal('the signature algorithm has unexpected parameters');
  }
  if (!verify(found.hash, bytes, publicKey, signature)) {
    throw refusal('the signature is wrong: it was not made by this key over these bytes');
  }
}

function algorithmFor(publicKey: KeyObject): SignatureAlgorithm {
  assertStrongKey(publicKey);
  if (publicKey.asymmetricKeyType === 'rsa') return { id: oids.sha256WithRsa, keyType: 'rsa', hash: 'sha256' };
  return publicKey.asymmetricKeyDetails?.namedCurve === 'secp384r1'
    ? { id: oids.ecdsaWithSha384, keyType: 'ec', hash: 'sha384' }
    : { id: oids.ecdsaWithSha256, keyType: 'ec', hash: 'sha256' };
}

function identifierOf(algorithm: SignatureAlgorithm): Asn1 {
  return algorithm.keyType === 'rsa'
    ? sequence(oid(algorithm.id), primitive('null', Buffer.alloc(0)))
    : sequence(oid(algorithm.id));
}
