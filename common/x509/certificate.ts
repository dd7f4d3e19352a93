/** Certificates (RFC 5280), whoever made them: reading them, and what they say about keys and roots. */
import { createHash, X509Certificate } from 'node:crypto';
import { readAlternativeNames } from './alternative-names.ts';
import { readName } from './distinguished-name.ts';
import { readExtensions, readExtKeyUsage, type Usage } from './extensions.ts';
import { type Asn1, decodeDer, isKind, partsOf } from './forge.ts';
import { type PrivateKey, publicKeyPin } from './keys.ts';
import { oids } from './oids.ts';
import { pemBlocks, toPem } from './pem.ts';
import { refusal, refuseUnreadable } from './refuse.ts';

/** A certificate as it was read. */
export interface Certificate {
  /** PEM of this one alone. */
  pem: string;
  x509: X509Certificate;
  /** Hexadecimal, lower case, no leading zeros. */
  serial: string;
  /** "O=system:nodes, CN=system:node:w1", in the order of the encoding. */
  subject: string;
  /** Like subject. */
  issuer: string;
  /** The last one, as Go takes it; empty when there is none. */
  commonName: string;
  organizations: string[];
  notBefore: Date;
  notAfter: Date;
  /** Lower case. */
  dnsNames: string[];
  /** Canonical, see canonicalIp. */
  ipAddresses: string[];
  uris: string[];
  /** True when it may sign certificates: basic constraints say so and key usage does not deny it. */
  ca: boolean;
  /** As stated; empty when it states none, which OpenSSL and Go take as any. */
  usages: Usage[];
  /** SHA-256 of the DER, hexadecimal, lower case. */
  sha256: string;
  /** See publicKeyPin of keys.ts. */
  publicKeyPin: string;
}

const what = 'certificate';
/** A CA bundle of a distribution has some 250 KB. */
const maxTextBytes = 2 * 1024 * 1024;
const maxDerBytes = 64 * 1024;

/**
 * Reads a certificate: DER, or the first one of a PEM text. Any key that OpenSSL knows is taken.
 *
 * @throws AppError invalid-request
 */
export function parseCertificate(pemOrDer: string | Uint8Array): Certificate {
  return refuseUnreadable(what, () => {
    // DER begins with a sequence, whose tag is the character 0; no text of certificates does
    if (typeof pemOrDer !== 'string' && pemOrDer[0] === 0x30) return readCertificate(pemOrDer);
    const [first] = certificateBlocks(Buffer.from(pemOrDer).toString('latin1'));
    return readCertificate(first);
  });
}

/**
 * Reads all certificates of a PEM text, in order; there must be one at least.
 *
 * @throws AppError invalid-request when any of them cannot be read
 */
export function parseCertificates(pem: string): Certificate[] {
  return refuseUnreadable(what, () => certificateBlocks(pem).map(readCertificate));
}

/** True when the key is the one of the certificate. */
export function keyMatches(key: PrivateKey, certificate: Certificate): boolean {
  return certificate.x509.checkPrivateKey(key.key);
}

/**
 * Checks that one of the roots signed the certificate and that both are valid at that time. Roots are trusted as they are;
 * names and usages are not checked.
 *
 * @returns undefined when good, else why not, as a lower case sentence
 */
export function chainsTo(leaf: Certificate, roots: Certificate[], at: Date): string | undefined {
  const outside = outsideValidity(leaf, at);
  if (outside !== undefined) return `the certificate ${outside}`;
  const signers = roots.filter((root) => leaf.x509.checkIssued(root.x509) && leaf.x509.verify(root.x509.publicKey));
  if (signers.length === 0) {
    const known = roots.map((root) => root.subject).join('; ') || 'none';
    return `the certificate was issued by ${leaf.issuer}, by none of the trusted roots (${known})`;
  }
  const problems = signers.map((root) => (root.ca ? outsideValidity(root, at) : 'is not a CA'));
  return problems.includes(undefined) ? undefined : `the root ${signers[0]?.subject} ${problems[0]}`;
}

function certificateBlocks(text: string): [Buffer, ...Buffer[]] {
  if (text.length > maxTextBytes) throw refusal('the text is too large to be certificates');
  const [first, ...more] = pemBlocks(text, 'CERTIFICATE', what);
  if (first === undefined) throw refusal('the text holds no certificate: it must have a PEM block CERTIFICATE');
  return [first, ...more];
}

function readCertificate(der: Uint8Array): Certificate {
  if (der.length > maxDerBytes) throw refusal(`the ${what} has more than ${maxDerBytes} bytes`);
  const { subject, issuer, extensions } = partsOfCertificate(der);
  const x509 = new X509Certificate(der);
  const name = readName(subject);
  const alternative = extensions.get(oids.subjectAltName);
  const usages = extensions.get(oids.extKeyUsage);
  const { dnsNames, ipAddresses, uris } =
    alternative === undefined ? { dnsNames: [], ipAddresses: [], uris: [] } : readAlternativeNames(alternative);
  return {
    pem: toPem('CERTIFICATE', der),
    x509,
    serial: x509.serialNumber.toLowerCase().replace(/^0+(?=.)/, ''),
    subject: name.text,
    issuer: readName(issuer).text,
    commonName: name.commonNames.at(-1) ?? '',
    organizations: name.organizations,
    notBefore: x509.validFromDate,
    notAfter: x509.validToDate,
    dnsNames,
    ipAddresses,
    uris,
    ca: x509.ca,
    usages: usages === undefined ? [] : readExtKeyUsage(usages),
    sha256: createHash('sha256').update(der).digest('hex'),
    publicKeyPin: publicKeyPin(x509.publicKey),
  };
}

/**
 * Parts of a certificate that node:crypto does not give as they stand; encodeDer gives their very bytes.
 *
 * @throws AppError invalid-request
 */
export function partsOfCertificate(der: Uint8Array): { subject: Asn1; issuer: Asn1; extensions: Map<string, Buffer> } {
  const parts = partsOf(partsOf(decodeDer(der), 'sequence')[0], 'sequence');
  // version is left out by version 1: serial, signature, issuer, validity, subject, key, and then tagged parts
  const [, , issuer, , subject] = isKind(parts[0], 0) ? parts.slice(1) : parts;
  if (issuer === undefined || subject === undefined) throw refusal(`the ${what} has no issuer or no subject`);
  const tagged = parts.find((part, index) => index > 0 && isKind(part, 3));
  const extensions = tagged === undefined ? new Map<string, Buffer>() : readExtensions(partsOf(tagged, 3)[0]);
  return { subject, issuer, extensions };
}

function outsideValidity(certificate: Certificate, at: Date): string | undefined {
  if (at < certificate.notBefore) return `is not valid before ${certificate.notBefore.toISOString()}: check the clock`;
  if (at > certificate.notAfter) return `expired at ${certificate.notAfter.toISOString()}`;
  return undefined;
}
