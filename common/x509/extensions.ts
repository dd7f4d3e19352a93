/** X.509 extensions: what certificates carry, and reading them. Source: RFC 5280 4.2. */
import { createHash, type KeyObject } from 'node:crypto';
import {
  type Asn1,
  bitString,
  bitsOf,
  booleanOf,
  contentOf,
  decodeDer,
  encodeDer,
  isKind,
  oid,
  oidOf,
  partsOf,
  primitive,
  sequence,
} from './forge.ts';
import { oids } from './oids.ts';
import { refusal } from './refuse.ts';

/** What a certificate may be used for in TLS. */
export type Usage = 'server' | 'client';

/** More than any honest certificate has. */
const maxExtensions = 32;

/** One extension; its value is DER. */
export function extension(id: string, value: Uint8Array, critical = false): Asn1 {
  const flag = critical ? [primitive('boolean', Buffer.from([0xff]))] : [];
  return sequence(oid(id), ...flag, primitive('octet-string', value));
}

/**
 * Values by object identifier.
 *
 * @param list the Extensions sequence
 * @throws AppError invalid-request for a malformed list or an extension that stands there twice
 */
export function readExtensions(list: Asn1 | undefined): Map<string, Buffer> {
  const values = new Map<string, Buffer>();
  const parts = partsOf(list, 'sequence');
  if (parts.length > maxExtensions) throw refusal(`more than ${maxExtensions} extensions are not accepted`);
  for (const part of parts) {
    const [id, ...rest] = partsOf(part, 'sequence');
    if (isKind(rest[0], 'boolean')) booleanOf(rest.shift()); // critical or not: no matter to us
    if (rest.length !== 1) throw refusal('an extension has too many parts');
    const name = oidOf(id);
    if (values.has(name)) throw refusal(`the extension ${name} stands there twice`);
    values.set(name, contentOf(rest[0], 'octet-string'));
  }
  return values;
}

/** Basic constraints; an empty sequence for a leaf. */
export function basicConstraints(ca: boolean): Asn1 {
  const parts = ca ? [primitive('boolean', Buffer.from([0xff]))] : [];
  return extension(oids.basicConstraints, encodeDer(sequence(...parts)), true);
}

/** True when the value of basic constraints says CA. */
export function readBasicConstraints(value: Uint8Array): boolean {
  const [flag] = partsOf(decodeDer(value), 'sequence');
  return isKind(flag, 'boolean') && booleanOf(flag);
}

/** Key usage: of a CA digitalSignature, keyCertSign and cRLSign; of a leaf digitalSignature, for RSA also keyEncipherment. */
export function keyUsage(ca: boolean, publicKey: KeyObject): Asn1 {
  const rsa = publicKey.asymmetricKeyType === 'rsa';
  // bit 0 is the highest: digitalSignature 0, keyEncipherment 2, keyCertSign 5, cRLSign 6
  const value = ca ? bitString([0b1000_0110], 1) : rsa ? bitString([0b1010_0000], 5) : bitString([0b1000_0000], 7);
  return extension(oids.keyUsage, encodeDer(value), true);
}

/** Extended key usage, server before client. */
export function extKeyUsage(usages: readonly Usage[]): Asn1 {
  const ids = [
    ...(usages.includes('server') ? [oids.serverAuth] : []),
    ...(usages.includes('client') ? [oids.clientAuth] : []),
  ];
  return extension(oids.extKeyUsage, encodeDer(sequence(...ids.map(oid))));
}

/** TLS usages that the value of an extended key usage states; "any" states both. */
export function readExtKeyUsage(value: Uint8Array): Usage[] {
  const ids = partsOf(decodeDer(value), 'sequence').map(oidOf);
  const any = ids.includes(oids.anyExtendedKeyUsage);
  const usages: Usage[] = [];
  if (any || ids.includes(oids.serverAuth)) usages.push('server');
  if (any || ids.includes(oids.clientAuth)) usages.push('client');
  return usages;
}

/** SHA-1 of the bits of the public key (RFC 5280 4.2.1.2, method 1): a name, not a protection. */
export function keyIdOf(publicKey: KeyObject): Buffer {
  const info = decodeDer(publicKey.export({ type: 'spki', format: 'der' }));
  return createHash('sha1')
    .update(bitsOf(partsOf(info, 'sequence')[1]))
    .digest();
}

/** Subject key identifier. */
export function subjectKeyId(keyId: Uint8Array): Asn1 {
  return extension(oids.subjectKeyIdentifier, encodeDer(primitive('octet-string', keyId)));
}

/** The key identifier in the value of a subject key identifier. */
export function readSubjectKeyId(value: Uint8Array): Buffer {
  return contentOf(decodeDer(value), 'octet-string');
}

/** Authority key identifier, the issuer's subject key identifier. */
export function authorityKeyId(keyId: Uint8Array): Asn1 {
  return extension(oids.authorityKeyIdentifier, encodeDer(sequence(primitive(0, keyId))));
}
