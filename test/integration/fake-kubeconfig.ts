/** Kubeconfigs of a fake cluster, written as kubeadm does and read as client-go does. */
import { parse } from 'yaml';
import type { FakeMachine } from './fake-machine.ts';

/** Certificate and key, PEM. */
export interface Leaf {
  certPem: string;
  keyPem: string;
}

/** What a caller shows and believes. */
export interface FakeCredentials {
  rootsPem: string;
  certPem: string;
}

interface Kubeconfig {
  clusters: { cluster: { 'certificate-authority'?: string; 'certificate-authority-data'?: string } }[];
  users: { user: { 'client-certificate'?: string; 'client-certificate-data'?: string } }[];
}

/** What a process shows and believes by a kubeconfig, and by the files that it names. */
export async function readKubeconfig(machine: FakeMachine, path: string): Promise<FakeCredentials> {
  const { clusters, users } = parse(await machine.read(path)) as Kubeconfig; // of the test or of the agent
  const pem = async (file?: string, data?: string) =>
    file === undefined ? Buffer.from(data ?? '', 'base64').toString() : machine.read(file);
  const { cluster } = clusters[0] ?? { cluster: {} };
  const { user } = users[0] ?? { user: {} };
  return {
    rootsPem: await pem(cluster['certificate-authority'], cluster['certificate-authority-data']),
    certPem: await pem(user['client-certificate'], user['client-certificate-data']),
  };
}
