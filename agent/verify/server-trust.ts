/** Which certificates of servers a probe accepts, as strictly as Kubernetes' own clients (Go, crypto/x509). */
import { createHash, type X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** Which serving certificate is accepted. */
export type ServerTrust =
  /** It chains to one of the roots and is valid for the name (DNS name or IP address), as Go clients judge it. */
  | { kind: 'roots'; pem: string; name: string }
  /** It is exactly this one, whatever its dates, names and issuer: SHA-256 of its DER, lower-case hexadecimal. */
  | { kind: 'exactly'; sha256: string }
  /** Any: for what a component does that verifies nobody. Never send a secret so. */
  | { kind: 'unverified' };

/** The certificate that the server showed. */
export interface Served {
  /** Lower-case hexadecimal without leading zeros. */
  serial: string;
  /** SHA-256 of the DER, lower-case hexadecimal. */
  sha256: string;
  notAfterMs: number;
  /** One line, "O=etcd, CN=etcd-ca". */
  issuer: string;
  /** "TLSv1.3". */
  tlsVersion: string;
}

/** Why a server's certificate is not accepted. */
export type UntrustedCause =
  | 'unknown-authority'
  | 'wrong-name'
  | 'expired'
  | 'not-yet-valid'
  | 'wrong-usage'
  | 'other-certificate'
  | 'other';

/** Verification results of OpenSSL by name, as Node reports them. */
const UNTRUSTED: ReadonlyMap<string, UntrustedCause> = new Map([
  ['UNABLE_TO_GET_ISSUER_CERT', 'unknown-authority'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'unknown-authority'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unknown-authority'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'unknown-authority'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'unknown-authority'],
  ['CERT_SIGNATURE_FAILURE', 'unknown-authority'], // a CA of the same name with another key
  ['CERT_UNTRUSTED', 'unknown-authority'],
  ['INVALID_CA', 'unknown-authority'],
  ['CERT_HAS_EXPIRED', 'expired'],
  ['CERT_NOT_YET_VALID', 'not-yet-valid'],
  ['INVALID_PURPOSE', 'wrong-usage'],
]);

/** Why the served certificate is not accepted, or undefined. */
export function distrustOf(
  trust: ServerTrust,
  certificate: X509Certificate,
  served: Served,
  socket: TLSSocket,
): { cause: UntrustedCause; detail: string } | undefined {
  if (trust.kind === 'unverified') return undefined;
  if (trust.kind === 'exactly') {
    if (served.sha256 === trust.sha256) return undefined;
    return { cause: 'other-certificate', detail: 'the server shows another certificate' };
  }
  if (!socket.authorized) {
    // Typed as an Error, but Node sets the code of OpenSSL as text.
    const code = String(socket.authorizationError);
    return { cause: UNTRUSTED.get(code) ?? 'other', detail: code };
  }
  if (!isValidFor(certificate, trust.name)) {
    const names = certificate.subjectAltName ?? 'no names';
    return { cause: 'wrong-name', detail: `the certificate is valid for ${names}, not ${trust.name}` };
  }
  return undefined;
}

/** As Go judges: alternative names only, never the common name (which Node's own check falls back to). */
function isValidFor(certificate: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined;
  return certificate.checkHost(name, { subject: 'never', partialWildcards: false }) !== undefined;
}

/** What is told of a served certificate. */
export function describeServed(certificate: X509Certificate, tlsVersion: string): Served {
  return {
    serial: normalSerial(certificate.serialNumber),
    sha256: createHash('sha256').update(certificate.raw).digest('hex'),
    notAfterMs: Date.parse(certificate.validTo),
    issuer: certificate.issuer.split('\n').join(', '),
    tlsVersion,
  };
}

/** A serial number as the project writes it: lower-case hexadecimal without leading zeros. */
export function normalSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '');
}
