/** CAs and certificates that tests of TLS use. */
import { generateKey } from '../x509/keys.ts';
import { createAuthority, newSerial, type Signer, signCertificate } from '../x509/sign.ts';

const day = 86_400_000;

/** A CA that is valid around now. */
export function testAuthority(commonName: string): Promise<Signer> {
  const notBefore = new Date(Date.now() - 10 * day);
  const notAfter = new Date(Date.now() + 10 * day);
  return createAuthority({ commonName, serial: newSerial(), algorithm: 'ecdsa-p256', notBefore, notAfter });
}

/** A certificate for 127.0.0.1, server and client, and its key. */
export async function testLeaf(
  signer: Signer,
  commonName: string,
  endsInMs = day,
): Promise<{ certPem: string; keyPem: string }> {
  const key = await generateKey('ecdsa-p256');
  const fields = {
    serial: newSerial(),
    commonName,
    organizations: [],
    publicKey: key.publicKey,
    notBefore: new Date(Date.now() - 5 * day),
    notAfter: new Date(Date.now() + endsInMs),
    usages: ['server' as const, 'client' as const],
    dnsNames: [],
    ipAddresses: ['127.0.0.1'],
    uris: [],
  };
  return { certPem: signCertificate(fields, signer), keyPem: key.pem };
}
