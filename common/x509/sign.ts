/** Signing certificates (RFC 5280): leaves for approvals, and new CAs. */
import { type KeyObject, randomBytes } from 'node:crypto';
import { encodeAlternativeNames } from './alternative-names.ts';
import { type Certificate, keyMatches, parseCertificate, partsOfCertificate } from './certificate.ts';
import { encodeName } from './distinguished-name.ts';
import {
  authorityKeyId,
  basicConstraints,
  extension,
  extKeyUsage,
  keyIdOf,
  keyUsage,
  readSubjectKeyId,
  subjectKeyId,
  type Usage,
} from './extensions.ts';
import { type Asn1, bitString, constructed, decodeDer, encodeDer, integer, sequence, time } from './forge.ts';
import { assertStrongKey, generateKey, type KeyAlgorithm, type PrivateKey } from './keys.ts';
import { oids } from './oids.ts';
import { toPem } from './pem.ts';
import { refusal } from './refuse.ts';
import { signatureAlgorithm, signDer } from './signature.ts';

/** What a certificate shall say. Names come from an approval, never from the request. */
export interface CertificateFields {
  /** Hexadecimal, see newSerial. */
  serial: string;
  commonName: string;
  organizations: string[];
  publicKey: KeyObject;
  /** Whole seconds; the rest is cut. */
  notBefore: Date;
  /** Not beyond the issuer's. */
  notAfter: Date;
  usages: Usage[];
  dnsNames: string[];
  ipAddresses: string[];
  uris: string[];
  /** Default false. */
  ca?: boolean;
}

/** A CA certificate and its key. */
export interface Signer {
  certificate: Certificate;
  key: PrivateKey;
}

/**
 * Signs a certificate, version 3, and returns its PEM.
 *
 * @throws AppError invalid-request for fields that no certificate may have, a weak key, an issuer that is no CA, whose key is
 * another's or that ends before the certificate would
 */
export function signCertificate(fields: CertificateFields, issuer: Signer): string {
  const { certificate } = issuer;
  if (!certificate.ca) throw refusal(`the issuer ${certificate.subject} is not a CA`);
  if (!keyMatches(issuer.key, certificate)) throw refusal(`the key is not the one of ${certificate.subject}`);
  if (fields.notAfter > certificate.notAfter) throw refusal(`it would outlive its issuer ${certificate.subject}`);
  const parts = partsOfCertificate(certificate.x509.raw);
  const keyId = parts.extensions.get(oids.subjectKeyIdentifier);
  return assemble(fields, issuer.key, parts.subject, keyId === undefined ? undefined : readSubjectKeyId(keyId));
}

/**
 * A new CA: a key and a certificate signed by it.
 *
 * @throws AppError invalid-request for a malformed name, serial or time
 */
export async function createAuthority(options: {
  commonName: string;
  serial: string;
  algorithm: KeyAlgorithm;
  notBefore: Date;
  notAfter: Date;
}): Promise<Signer> {
  const key = await generateKey(options.algorithm);
  const names = { organizations: [], usages: [], dnsNames: [], ipAddresses: [], uris: [] };
  const fields = { ...options, ...names, publicKey: key.publicKey, ca: true };
  const pem = assemble(fields, key, encodeName([], options.commonName), keyIdOf(key.publicKey));
  return { certificate: parseCertificate(pem), key };
}

/** A serial number: 127 random bits, hexadecimal, lower case, positive, no leading zeros. */
export function newSerial(): string {
  const bytes = randomBytes(16);
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0);
  const digits = bytes.toString('hex').replace(/^0+/, '');
  return digits === '' ? newSerial() : digits;
}

function assemble(
  fields: CertificateFields,
  key: PrivateKey,
  issuerName: Asn1,
  issuerKeyId: Buffer | undefined,
): string {
  const ca = fields.ca ?? false;
  assertStrongKey(fields.publicKey);
  assertSerial(fields.serial);
  const years = [fields.notBefore.getUTCFullYear(), fields.notAfter.getUTCFullYear()];
  if (!(fields.notBefore < fields.notAfter) || !years.every((year) => year >= 1950 && year <= 9999)) {
    throw refusal('the certificate would end before it begins, or at no time that it can name: check its times');
  }
  const named = fields.dnsNames.length + fields.ipAddresses.length + fields.uris.length > 0;
  const extensions = [
    keyUsage(ca, fields.publicKey),
    ...(fields.usages.length > 0 ? [extKeyUsage(fields.usages)] : []),
    basicConstraints(ca),
    subjectKeyId(keyIdOf(fields.publicKey)),
    ...(issuerKeyId === undefined ? [] : [authorityKeyId(issuerKeyId)]),
    ...(named ? [extension(oids.subjectAltName, encodeAlternativeNames(fields))] : []),
  ];
  const algorithm = signatureAlgorithm(key.publicKey);
  const tbs = sequence(
    constructed(0, integer('2')),
    integer(fields.serial),
    algorithm,
    issuerName,
    sequence(time(fields.notBefore), time(fields.notAfter)),
    encodeName(fields.organizations, fields.commonName),
    decodeDer(fields.publicKey.export({ type: 'spki', format: 'der' })),
    constructed(3, sequence(...extensions)),
  );
  const signature = signDer(key.key, key.publicKey, encodeDer(tbs));
  return toPem('CERTIFICATE', encodeDer(sequence(tbs, algorithm, bitString(signature))));
}

/** RFC 5280 4.1.2.2: positive and at most 20 octets. */
function assertSerial(serial: string): void {
  const digits = serial.replace(/^0+/, '');
  if (!/^[0-9a-f]+$/i.test(digits) || BigInt(`0x${digits}`) >= 2n ** 159n) {
    throw refusal('the serial number is not a positive hexadecimal number of at most 20 octets');
  }
}
