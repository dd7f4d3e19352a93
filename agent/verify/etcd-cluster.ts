/** Whether the etcd cluster is well: a healthy member, a leader, and every other member in reach of our certificate. */

import { AppError } from '../../common/errors/app-error.ts';
import type { DetectedEtcd } from '../detect/detected.ts';
import { isLoopback } from '../journal/host-port.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { readCredentialFiles, readCredentials } from './credentials.ts';
import { type Endpoint, endpointOfUrl, etcdHttpEndpoints, hostPort } from './endpoints.ts';
import { settingsAfter } from './etcd-handshake.ts';
import { type EtcdAccess, etcdHealth, isHealthy, listMembers } from './etcd-members.ts';
import { type Expectation, rootsOf } from './expectation.ts';
import { Findings } from './findings.ts';
import { describeOutcome, get, type HandshakeProbe } from './handshake-probes.ts';
import type { ClientCredentials, Probe, ProbeOutcome } from './probe.ts';

/** One attempt. */
export async function etcdCluster(
  { probe, clock }: LiveDeps,
  expectation: Expectation<DetectedEtcd>,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const findings = new Findings('cluster', clock);
  const [endpoint] = etcdHttpEndpoints(settingsAfter(expectation), expectation.target);
  if (endpoint === undefined) {
    findings.fail('listen-client-urls', 'holds no http or https URL to ask');
    return findings.outcome('');
  }
  const rootsPem = rootsOf(expectation, 'etcd');
  const client = await readCredentials(expectation.folder, 'healthcheck-client');
  const access = accessOf(endpoint, rootsPem, client);

  const health = await etcdHealth(access, signal, probe);
  findings.expect(health.healthy && health.leaderId !== '', `etcd ${access.url}`, health.detail);
  if (!findings.good) return findings.outcome('');
  try {
    const cluster = await listMembers(access, signal, probe);
    const names = cluster.members.map((member) => member.name || member.id).join(', ');
    const line = `cluster ${cluster.clusterId} of ${cluster.members.length} members: ${names}`;
    findings.note(`etcd ${access.url}`, line);
    const callers = [...(await asMember(expectation)), { name: 'healthcheck-client', client }];
    for (const member of cluster.members.filter(({ id }) => id !== cluster.memberId)) {
      for (const other of othersEndpoints(member.clientUrls)) {
        const ask = { endpoint: other, path: '/health', rootsPem, signal };
        const { good, seen } = await askAs(probe, ask, callers);
        findings.expect(good, `etcd ${member.name} ${hostPort(other)}`, seen);
      }
    }
    return findings.outcome(`etcd is healthy, has a leader and ${cluster.members.length} members`);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    findings.fail(`etcd ${access.url}`, error.message);
    return findings.outcome('');
  }
}

function isWell(outcome: ProbeOutcome): boolean {
  return outcome.kind === 'answered' && isHealthy(outcome.status, outcome.body);
}

/** A certificate to call another member with. */
interface MemberCaller {
  name: string;
  client: ClientCredentials;
}

/**
 * The member's own certificate, which has to do for clients too: its JSON gateway calls with it (etcd#9785). In each phase of a change
 * of roots every member trusts it, while one whose turn in the phase trust is still to come does not know the new CA, of which the
 * health check's certificate is by then.
 */
async function asMember(expectation: Expectation<DetectedEtcd>): Promise<MemberCaller[]> {
  const name = 'server certificate';
  if (expectation.serials.has('server')) return [{ name, client: await readCredentials(expectation.folder, 'server') }];
  if (expectation.target !== 'trusting') return [];
  const settings = settingsAfter(expectation);
  const path = (setting: string) => settings.get(setting)?.value ?? '';
  return [{ name, client: await readCredentialFiles(path('cert-file'), path('key-file')) }];
}

/** Asks until the member answers as one that is well; a caller whom it refuses leaves a line in its journal, so the surest is the first. */
async function askAs(
  probe: Probe,
  ask: Omit<HandshakeProbe, 'client'>,
  callers: readonly MemberCaller[],
): Promise<{ good: boolean; seen: string }> {
  const seen: string[] = [];
  for (const { name, client } of callers) {
    const outcome = await get(probe, { ...ask, client });
    if (isWell(outcome)) return { good: true, seen: describeOutcome(outcome) };
    seen.push(seen.length === 0 ? describeOutcome(outcome) : `by ${name} ${describeOutcome(outcome)}`);
  }
  return { good: false, seen: seen.join('; ') };
}

function accessOf(endpoint: Endpoint, rootsPem: string, client: ClientCredentials): EtcdAccess {
  const url = `${endpoint.scheme}://${hostPort(endpoint)}`;
  return endpoint.scheme === 'http' ? { url } : { url, tls: { rootsPem, client }, name: endpoint.name };
}

/** What others list as plaintext is not ours yet, and what they list as loopback is their own. */
function othersEndpoints(clientUrls: readonly string[]): Endpoint[] {
  return clientUrls
    .flatMap((url) => endpointOfUrl(url) ?? [])
    .filter(({ scheme, host }) => scheme === 'https' && !isLoopback(host));
}
