/** Certificates and servers for tests of handshakes. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { TlsOptions } from 'node:tls';
import { generateKey } from '../../common/x509/keys.ts';
import { type CertificateFields, createAuthority, newSerial, signCertificate } from '../../common/x509/sign.ts';

const HOUR = 3_600_000;

/** A certificate with its key, PEM. */
export interface TestLeaf {
  certPem: string;
  keyPem: string;
  serial: string;
}

/** A CA that signs whatever a test asks for. */
export interface TestAuthority {
  rootsPem: string;
  /** For 127.0.0.1 and localhost, both usages, valid for an hour, unless the fields say otherwise. */
  issue(fields?: Partial<CertificateFields>): Promise<TestLeaf>;
}

/** A new CA of that name. */
export async function testAuthority(commonName: string): Promise<TestAuthority> {
  const now = Date.now(); // TLS stacks compare with the real time
  const authority = await createAuthority({
    commonName,
    serial: newSerial(),
    algorithm: 'ecdsa-p256',
    notBefore: new Date(now - 48 * HOUR),
    notAfter: new Date(now + 48 * HOUR),
  });
  return {
    rootsPem: authority.certificate.pem,
    async issue(fields = {}) {
      const key = await generateKey('ecdsa-p256');
      const serial = newSerial();
      const certPem = signCertificate(
        {
          serial,
          commonName: 'test',
          organizations: [],
          publicKey: key.publicKey,
          notBefore: new Date(now - HOUR),
          notAfter: new Date(now + HOUR),
          usages: ['server', 'client'],
          dnsNames: ['localhost'],
          ipAddresses: ['127.0.0.1'],
          uris: [],
          ...fields,
        },
        authority,
      );
      return { certPem, keyPem: key.pem, serial: fields.serial ?? serial };
    },
  };
}

/** A server on 127.0.0.1 that ends with the test; its port. */
export async function serveTls(
  test: TestContext,
  leaf: TestLeaf,
  handler: RequestListener,
  options: TlsOptions = {},
): Promise<number> {
  const server = createServer({ cert: leaf.certPem, key: leaf.keyPem, ...options }, handler);
  server.on('tlsClientError', () => {}); // callers that are refused are what the tests are about
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port; // a TCP server has an address with a port
}

/** The text of a kubeconfig of that server, with everything embedded. */
export function kubeconfigText(port: number, rootsPem: string, leaf?: TestLeaf): string {
  const data = (pem: string) => Buffer.from(pem).toString('base64');
  const user =
    leaf === undefined
      ? 'token: t'
      : `client-certificate-data: ${data(leaf.certPem)}, client-key-data: ${data(leaf.keyPem)}`;
  return `current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:${port}', certificate-authority-data: ${data(rootsPem)}}}]
users: [{name: u, user: {${user}}}]
`;
}

/** A folder with `NAME.crt` and `NAME.key` of every leaf; removed after the test. */
export async function folderOf(test: TestContext, leaves: Record<string, TestLeaf>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'kube-mtls-verify-'));
  test.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, leaf] of Object.entries(leaves)) {
    await writeFile(join(folder, `${name}.crt`), leaf.certPem);
    await writeFile(join(folder, `${name}.key`), leaf.keyPem, { mode: 0o600 });
  }
  return folder;
}
