/** What an etcd member calls: the peer URLs of the other members, with its peer certificate and its peers' CA. */
import type { DetectedEtcd } from '../detect/detected.ts';
import { readCredentialFiles, readPem } from './credentials.ts';
import { endpointOfUrl, etcdHttpEndpoints, hostPort } from './endpoints.ts';
import { type EtcdAccess, listMembers } from './etcd-members.ts';
import { endpointsOfQuestion } from './peer-endpoints.ts';
import type { PeerCalls, PeerQuestion } from './peer-probe.ts';
import type { Probe } from './probe.ts';

/**
 * The calls of a member. Which URLs are peers' it learns from its own member list. The serial in question is the one for
 * clients, so that of the peer certificate is not compared.
 *
 * @throws AppError unavailable when its own member does not answer, not-found when a file of its settings cannot be read
 */
export async function callsOfEtcd(
  probe: Probe,
  question: PeerQuestion,
  detected: DetectedEtcd,
  signal: AbortSignal,
): Promise<PeerCalls> {
  if (question.component !== 'etcd') return { concerned: false, calls: [], notes: [] };
  const access = await accessOf(detected);
  if (access === undefined) return { concerned: true, calls: [], notes: ['its own client URL cannot be asked'] };
  const { members, memberId } = await listMembers(access, signal, probe);
  const hosts = new Set(endpointsOfQuestion(question).map(({ host }) => host));
  const urls = members
    .filter(({ id }) => id !== memberId)
    .flatMap(({ peerUrls }) => peerUrls.flatMap((url) => endpointOfUrl(url) ?? []))
    .filter(({ host }) => hosts.has(host));
  const secure = urls.filter(({ scheme }) => scheme === 'https');
  const notes = urls.filter(({ scheme }) => scheme === 'http').map((url) => `peer URL is http://${hostPort(url)}`);
  const [certFile, keyFile, caFile] = ['peer-cert-file', 'peer-key-file', 'peer-trusted-ca-file'].map((name) =>
    setting(detected, name),
  );
  if (secure.length === 0) return { concerned: urls.length > 0, calls: [], notes };
  if (certFile === undefined || keyFile === undefined || caFile === undefined) {
    return { concerned: true, calls: [], notes: [...notes, 'it has no peer certificate, key or CA'] };
  }
  const [client, pem] = await Promise.all([readCredentialFiles(certFile, keyFile), readPem(caFile)]);
  const calls = secure.map((endpoint) => ({
    source: `etcd to peer ${hostPort(endpoint)}`,
    endpoint,
    path: '/version',
    tls: { trust: { kind: 'roots' as const, pem, name: endpoint.name }, client },
    serial: undefined,
  }));
  return { concerned: true, calls, notes };
}

/** How a member reaches itself: over TLS with its own server certificate, as its JSON gateway does (etcd#9785). */
async function accessOf(detected: DetectedEtcd): Promise<EtcdAccess | undefined> {
  const [endpoint] = etcdHttpEndpoints(detected.effectiveSettings, 'prepared');
  if (endpoint === undefined) return undefined;
  const url = `${endpoint.scheme}://${hostPort(endpoint)}`;
  if (endpoint.scheme === 'http') return { url };
  const certFile = setting(detected, 'cert-file');
  const keyFile = setting(detected, 'key-file');
  const caFile = setting(detected, 'trusted-ca-file');
  if (certFile === undefined || keyFile === undefined || caFile === undefined) return undefined;
  const [client, rootsPem] = await Promise.all([readCredentialFiles(certFile, keyFile), readPem(caFile)]);
  return { url, tls: { rootsPem, client }, name: endpoint.name };
}

function setting(detected: DetectedEtcd, name: string): string | undefined {
  return detected.effectiveSettings.get(name)?.value;
}
