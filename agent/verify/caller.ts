/** A component as a caller of an API server, by the kubeconfig that stands on disk now. */
import { parseCertificate, parseCertificates } from '../../common/x509/certificate.ts';
import { readPem } from './credentials.ts';
import { type Endpoint, hostPort } from './endpoints.ts';
import { type Expectation, rootsOf, serialOf } from './expectation.ts';
import type { Findings } from './findings.ts';
import { parseKubeconfig, readConnection } from './kubeconfig.ts';
import type { OwnKubeconfig } from './kubeconfigs-of.ts';
import type { ClientCredentials } from './probe.ts';

/** Where and as whom it calls. */
export interface Caller {
  /** Path of its kubeconfig. */
  path: string;
  /** "https://10.0.0.1:6443". */
  url: string;
  server: Endpoint;
  /** Whom it trusts. */
  rootsPem: string;
  /** Undefined for one that shows no certificate, which only a component may do that is not ours yet. */
  client: ClientCredentials | undefined;
}

/**
 * Reads the kubeconfig as the component does. It has to trust every root in force, and, once ours, to show the certificate
 * that was issued for it: files that are written and not used prove nothing.
 *
 * @returns undefined when it cannot be called with; then that is among the failures
 * @throws AppError not-found or invalid-request when the kubeconfig, or a file that it names, cannot be used
 */
export async function readCaller(
  findings: Findings,
  expectation: Expectation,
  { file: { path }, slot }: OwnKubeconfig,
): Promise<Caller | undefined> {
  const connection = parseKubeconfig({ path, text: await readPem(path) });
  const { rootsPem, client } = await readConnection(connection);
  const { server } = connection;
  if (server.scheme !== 'https') findings.fail(path, `calls its server in plaintext: ${hostPort(server)}`);
  if (rootsPem === undefined) findings.fail(path, 'names no CA to verify the API server with');
  else {
    const trusted = new Set(parseCertificates(rootsPem).map(({ sha256 }) => sha256));
    for (const { sha256, subject } of parseCertificates(rootsOf(expectation, 'kubernetes'))) {
      if (!trusted.has(sha256)) findings.fail(path, `does not trust the root ${subject} (SHA-256 ${sha256})`);
    }
  }
  if (expectation.target !== 'trusting' || expectation.serials.has(slot)) {
    const shown = client === undefined ? undefined : parseCertificate(client.certPem).serial;
    const wanted = serialOf(expectation, slot);
    const words = shown === undefined ? 'no client certificate' : `a client certificate with serial ${shown}`;
    if (shown !== wanted) findings.fail(path, `names ${words}, instead of the new one with serial ${wanted}`);
  }
  if (rootsPem === undefined || !findings.good) return undefined;
  return { path, url: `${server.scheme}://${hostPort(server)}`, server, rootsPem, client };
}
