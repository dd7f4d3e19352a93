/** What a fake cluster knows: its API servers, and who of its nodes and managers is believed by them. */
import { X509Certificate } from 'node:crypto';
import type { FakeCredentials } from './fake-kubeconfig.ts';
import type { FakeMachine } from './fake-machine.ts';
import type { TlsFiles } from './fake-network.ts';

/** A component that calls the API server. */
export interface FakeClient {
  machine: FakeMachine;
  /** As it has them now. */
  credentials(): Promise<FakeCredentials>;
}

/** The state of the cluster. */
export class FakeKubernetes {
  /** HOST:PORT at which clients reach an API server. */
  readonly endpoint: string;
  /** Running kubelets by the names of their nodes. */
  readonly kubelets = new Map<string, FakeClient>();
  /** Running API servers by the names of their nodes: what they serve with now. */
  readonly apiservers = new Map<string, () => Promise<TlsFiles>>();

  /** The fewest API servers that ran at once after one was stopped. */
  fewestApiservers = Number.POSITIVE_INFINITY;

  constructor(endpoint: string) {
    this.endpoint = endpoint;
  }

  /** What a client writes that starts now: undefined when an API server believes it. */
  async complaintOf(client: FakeClient): Promise<string | undefined> {
    let complaint: string | undefined = `dial tcp ${this.endpoint}: connect: connection refused`;
    for (const files of this.apiservers.values()) {
      complaint = await this.whyNot(client, await files());
      if (complaint === undefined) return undefined;
    }
    return complaint;
  }

  /** Why an API server that serves with these files, and a client, do not come together; as the client writes it. */
  async whyNot(client: FakeClient, server: TlsFiles): Promise<string | undefined> {
    const { rootsPem, certPem } = await client.credentials();
    if (!vouches(rootsPem, server.cert)) return 'x509: certificate signed by unknown authority';
    return vouches(server.ca, certPem) ? undefined : 'Unauthorized';
  }
}

/** True when one of the roots signed the certificate. */
export function vouches(rootsPem: string, certPem: string): boolean {
  const certificate = new X509Certificate(certPem);
  const roots = rootsPem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return roots.map((pem) => new X509Certificate(pem)).some((root) => certificate.verify(root.publicKey));
}
