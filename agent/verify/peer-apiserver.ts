/** What an API server calls: its etcd members and the kubelets, with the files that its flags name. */
import type { DetectedApiserver } from '../detect/detected.ts';
import { listFlag } from '../detect/list-flag.ts';
import { readCredentialFiles, readPem } from './credentials.ts';
import { endpointOfUrl, hostPort } from './endpoints.ts';
import { endpointsOfQuestion, isOwnEndpoint, namesEndpoint } from './peer-endpoints.ts';
import type { PeerCall, PeerCalls, PeerQuestion } from './peer-probe.ts';
import type { ClientCredentials } from './probe.ts';
import type { ServerTrust } from './server-trust.ts';

/**
 * The calls of an API server.
 *
 * @throws AppError not-found when a file that its flags name cannot be read
 */
export async function callsOfApiserver(question: PeerQuestion, detected: DetectedApiserver): Promise<PeerCalls> {
  switch (question.component) {
    case 'etcd':
      return callsToEtcd(question, detected);
    case 'kubelet':
      return callsToKubelet(question, detected);
    case 'kube-apiserver':
    case 'kube-controller-manager':
    case 'kube-scheduler':
    case 'kube-proxy':
    case 'admin':
      return { concerned: false, calls: [], notes: [] };
  }
}

async function callsToEtcd(question: PeerQuestion, detected: DetectedApiserver): Promise<PeerCalls> {
  const urls = listFlag(detected.effectiveFlags, 'etcd-servers');
  // without a scheme the flags for TLS decide (etcd 3.5, client/v3/client.go)
  const tls = ['etcd-cafile', 'etcd-certfile', 'etcd-keyfile'].some((name) => (flag(detected, name) ?? '') !== '');
  const members = urls
    .map((url) => (url.includes('://') ? url : `${tls ? 'https' : 'http'}://${url}`))
    .flatMap((url) => endpointOfUrl(url) ?? [])
    .filter((url) => namesEndpoint(question, url));
  const secure = members.filter(({ scheme }) => scheme === 'https');
  const notes = members
    .filter(({ scheme }) => scheme === 'http')
    .map((member) => `--etcd-servers still names http://${hostPort(member)}`);
  if (secure.length === 0) return { concerned: members.length > 0, calls: [], notes };
  const caFile = flag(detected, 'etcd-cafile');
  const client = await credentialsOf(detected, 'etcd-certfile', 'etcd-keyfile');
  // Without --etcd-cafile Go trusts the system's roots, which never hold a cluster's CA.
  if (caFile === undefined) notes.push('--etcd-cafile is not set, so the API server cannot trust any etcd CA');
  const pem = caFile === undefined ? undefined : await readPem(caFile);
  const calls = secure.flatMap((endpoint): PeerCall[] => {
    if (pem === undefined) return [];
    const trust = { kind: 'roots' as const, pem, name: endpoint.name };
    const source = `kube-apiserver to etcd ${hostPort(endpoint)}`;
    const call = { source, endpoint, path: '/health', tls: { trust, client }, serial: question.serial };
    return [isOwnEndpoint(question, endpoint) ? call : { ...call, amongOthers: 1 }];
  });
  return { concerned: true, calls, notes };
}

/** The API server reaches kubelets by what their Node object says, so every address of the question is tried. */
async function callsToKubelet(question: PeerQuestion, detected: DetectedApiserver): Promise<PeerCalls> {
  const client = await credentialsOf(detected, 'kubelet-client-certificate', 'kubelet-client-key');
  if (client === undefined) return { concerned: false, calls: [], notes: [] };
  const caFile = flag(detected, 'kubelet-certificate-authority');
  const pem = caFile === undefined ? undefined : await readPem(caFile);
  const calls = endpointsOfQuestion(question).map(({ host, port }): PeerCall => {
    // Without --kubelet-certificate-authority the API server verifies no kubelet.
    const trust: ServerTrust = pem === undefined ? { kind: 'unverified' } : { kind: 'roots', pem, name: host };
    const endpoint = { scheme: 'https' as const, host, port, name: host };
    const source = `kube-apiserver to kubelet ${hostPort(endpoint)}`;
    const call = { source, endpoint, path: '/healthz', tls: { trust, client }, serial: question.serial };
    return isOwnEndpoint(question, endpoint) ? call : { ...call, amongOthers: 1 };
  });
  return { concerned: true, calls, notes: [] };
}

async function credentialsOf(
  detected: DetectedApiserver,
  certFlag: string,
  keyFlag: string,
): Promise<ClientCredentials | undefined> {
  const certFile = flag(detected, certFlag);
  const keyFile = flag(detected, keyFlag);
  return certFile === undefined || keyFile === undefined ? undefined : readCredentialFiles(certFile, keyFile);
}

/** As in force now: what the running process was started with. */
function flag(detected: DetectedApiserver, name: string): string | undefined {
  return detected.effectiveFlags.get(name)?.at(-1);
}
