/**
 * Certificates of others that are in use. Go serves more than this program would sign: names with spaces, a negative serial
 * number, extensions of any kind. OpenSSL reads all of it, so that what is strict is only what we are asked to sign.
 */
import { X509Certificate } from 'node:crypto';
import { messageOf } from '../../common/errors/app-error.ts';
import { canonicalIp } from '../../common/x509/ip-address.ts';
import type { FoundCertificate } from '../detect/detected.ts';

/** What clients see of a certificate that somebody else made. */
export interface ServedCertificate {
  x509: X509Certificate;
  /** "O=system:nodes, CN=system:node:w1", in the order of the encoding. */
  subject: string;
  /** Like subject. */
  issuer: string;
  /** The last one; empty when there is none. */
  commonName: string;
  organizations: string[];
  /** Milliseconds since the epoch; NaN for a date that is none, which is before and after nothing. */
  notAfterMs: number;
  /** As they stand there, lower case: some may be names that no certificate of ours can hold. */
  dnsNames: string[];
  /** Canonical, see canonicalIp. */
  ipAddresses: string[];
  /** Names of other kinds: "email:a@b", "URI:spiffe://lab/x". */
  otherNames: string[];
}

/** What stands in a file that a component serves from. */
export type ServedFile = { certificate: ServedCertificate } | { unreadable: string } | 'missing';

/**
 * The first certificate of a PEM text.
 *
 * @throws Error of OpenSSL when it is none
 */
export function readServed(pem: string): ServedCertificate {
  const x509 = new X509Certificate(pem);
  const subject = x509.subject.split('\n');
  const valuesOf = (type: string) =>
    subject.flatMap((part) => (part.startsWith(`${type}=`) ? [part.slice(type.length + 1)] : []));
  return {
    x509,
    subject: subject.join(', '),
    issuer: x509.issuer.split('\n').join(', '),
    commonName: valuesOf('CN').at(-1) ?? '',
    organizations: valuesOf('O'),
    notAfterMs: x509.validToDate.getTime(),
    ...alternativeNames(x509.subjectAltName ?? ''),
  };
}

/**
 * What detection found in a file.
 *
 * @param path as detection gives it; '' is no file
 */
export function servedFile(certificates: readonly FoundCertificate[], path: string): ServedFile {
  const found = certificates.find((each) => each.path === path);
  if (path === '' || found === undefined || found.missing === true) return 'missing';
  if (found.certificatePem === undefined) return { unreadable: found.problem };
  try {
    return { certificate: readServed(found.certificatePem) };
  } catch (error) {
    return { unreadable: messageOf(error) };
  }
}

/**
 * True when a root signed it, by name and key alone: a root that was renewed with its key signed what it signed before.
 */
export function isSignedBy({ x509 }: Pick<ServedCertificate, 'x509'>, root: X509Certificate): boolean {
  return root.subject === x509.issuer && x509.verify(root.publicKey);
}

/** Node's text for people: ", " stands between names, and a value with a comma in it is quoted as JSON (Node.js 17.3.1, CVE-2021-44532). */
function alternativeNames(text: string): Pick<ServedCertificate, 'dnsNames' | 'ipAddresses' | 'otherNames'> {
  const dnsNames: string[] = [];
  const ipAddresses: string[] = [];
  const otherNames: string[] = [];
  for (const [name, kind, quoted, plain = ''] of text.matchAll(
    /(?<=^|, )([A-Za-z ]+):(?:("(?:[^"\\]|\\.)*")|([^,]*))(?=, |$)/g,
  )) {
    const value = quoted === undefined ? plain : String(JSON.parse(quoted));
    const address = kind === 'IP Address' ? canonicalIp(value.toLowerCase()) : undefined;
    if (kind === 'DNS') dnsNames.push(value.toLowerCase());
    else if (address !== undefined) ipAddresses.push(address);
    else otherNames.push(name);
  }
  return { dnsNames, ipAddresses, otherNames };
}
