/** Handshakes with an etcd member: its client and its peer listeners. */
import type { DetectedEtcd } from '../detect/detected.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { readCredentialFiles, readCredentials } from './credentials.ts';
import { type Endpoint, etcdHttpEndpoints, etcdPeerEndpoints } from './endpoints.ts';
import { isHealthy } from './etcd-members.ts';
import { type Expectation, rootsOf, wantedServing } from './expectation.ts';
import { Findings } from './findings.ts';
import { describeOutcome, expectAnswer, expectRefusal, get, sourceOf } from './handshake-probes.ts';
import type { ClientCredentials } from './probe.ts';

type EtcdExpectation = Expectation<DetectedEtcd>;

/** Settings with which a member takes only peers of certain names. */
const PEER_NAMES = ['peer-cert-allowed-cn', 'peer-cert-allowed-hostname'];

/** One attempt. Skipped when the member is only prepared and all its listeners still speak plaintext. */
export async function etcdHandshake(
  deps: LiveDeps,
  expectation: EtcdExpectation,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const { target } = expectation;
  const settings = settingsAfter(expectation);
  const findings = new Findings('handshake', deps.clock);
  const clientEndpoints = etcdHttpEndpoints(settings, target);
  const peerEndpoints = etcdPeerEndpoints(settings, target);
  if (clientEndpoints.length === 0) findings.fail('listen-client-urls', 'holds no http or https URL to probe');
  if (target === 'prepared' && [...clientEndpoints, ...peerEndpoints].every(({ scheme }) => scheme === 'http')) {
    for (const endpoint of clientEndpoints) await expectPlaintextHealth(deps, findings, endpoint, signal);
    return findings.skipped('etcd holds its certificates and still listens in plaintext until the fleet enforces TLS');
  }

  const [client, peer] = await Promise.all([
    readCredentials(expectation.folder, 'healthcheck-client'),
    peerCredentials(expectation),
  ]);
  for (const endpoint of clientEndpoints) {
    if (endpoint.scheme === 'http') await expectPlaintextHealth(deps, findings, endpoint, signal);
    else await probeClientUrl(deps, findings, expectation, endpoint, client, signal);
  }
  for (const endpoint of peerEndpoints.filter(({ scheme }) => scheme === 'https')) {
    await probePeerUrl(deps, findings, expectation, endpoint, { client, peer }, signal);
  }
  return findings.outcome(
    target === 'trusting'
      ? 'etcd shows its certificates from before and believes callers of the new CA'
      : 'etcd shows its new certificates and refuses callers without one',
  );
}

/**
 * The settings by which a member listens after the change. One that is only made to trust goes on as it runs; else hosts and
 * ports are those of its settings without us, and the scheme follows from the target.
 */
export function settingsAfter({ detected, target }: EtcdExpectation): DetectedEtcd['settings'] {
  return target === 'trusting' ? detected.effectiveSettings : detected.settings;
}

/** The member's own: ours, or those that it keeps while it is only made to trust. */
async function peerCredentials(expectation: EtcdExpectation): Promise<ClientCredentials> {
  const { folder, target, serials } = expectation;
  if (target !== 'trusting' || serials.has('peer')) return readCredentials(folder, 'peer');
  const path = (name: string) => settingsAfter(expectation).get(name)?.value ?? '';
  return readCredentialFiles(path('peer-cert-file'), path('peer-key-file'));
}

/** A CA file alone demands client certificates too (etcd, client/pkg/transport, TLSInfo.ServerConfig). */
function demandsCertificates(expectation: EtcdExpectation, of: 'client' | 'peer'): boolean {
  const { target } = expectation;
  if (target !== 'trusting') return target === 'enforced';
  const settings = settingsAfter(expectation);
  const names =
    of === 'client' ? ['client-cert-auth', 'trusted-ca-file'] : ['peer-client-cert-auth', 'peer-trusted-ca-file'];
  return names.some((name) => !['', 'false'].includes(settings.get(name)?.value ?? ''));
}

async function probeClientUrl(
  { probe }: LiveDeps,
  findings: Findings,
  expectation: EtcdExpectation,
  endpoint: Endpoint,
  client: ClientCredentials,
  signal: AbortSignal,
): Promise<void> {
  const ask = { endpoint, path: '/health', rootsPem: rootsOf(expectation, 'etcd'), signal };
  expectAnswer(findings, sourceOf(endpoint, 'healthcheck-client'), await get(probe, { ...ask, client }), {
    shown: wantedServing(expectation, 'server'),
    accept: isHealthy,
    wanted: '200 {"health":"true"}',
  });
  if (!demandsCertificates(expectation, 'client')) return;
  expectRefusal(findings, sourceOf(endpoint, 'without certificate'), await get(probe, ask));
  const plain = await get(probe, { ...ask, rootsPem: undefined });
  const asEtcd = plain.kind === 'answered' && isHealthy(plain.status, plain.body);
  findings.expect(!asEtcd, sourceOf(endpoint, 'plaintext'), `${asEtcd ? 'etcd still ' : ''}${describeOutcome(plain)}`);
}

async function probePeerUrl(
  { probe }: LiveDeps,
  findings: Findings,
  expectation: EtcdExpectation,
  endpoint: Endpoint,
  { client, peer }: { client: ClientCredentials; peer: ClientCredentials },
  signal: AbortSignal,
): Promise<void> {
  const ask = { endpoint, path: '/version', rootsPem: rootsOf(expectation, 'etcd'), signal };
  const want = {
    shown: wantedServing(expectation, 'peer'),
    accept: (status: number, body: string) => status === 200 && body.includes('etcdserver'),
    wanted: '200 with the version of etcd',
  };
  expectAnswer(findings, sourceOf(endpoint, 'peer certificate'), await get(probe, { ...ask, client: peer }), want);
  const settings = settingsAfter(expectation);
  if (expectation.target === 'trusting' && !PEER_NAMES.some((name) => settings.has(name))) {
    // of the new CA, which the member has to trust for its peers too; without names in it, it may come from anywhere
    const source = sourceOf(endpoint, 'healthcheck-client');
    expectAnswer(findings, source, await get(probe, { ...ask, client }), want);
  }
  if (!demandsCertificates(expectation, 'peer')) return;
  expectRefusal(findings, sourceOf(endpoint, 'without certificate'), await get(probe, ask));
}

async function expectPlaintextHealth(
  { probe }: LiveDeps,
  findings: Findings,
  endpoint: Endpoint,
  signal: AbortSignal,
): Promise<void> {
  const answer = await get(probe, { endpoint, path: '/health', rootsPem: undefined, signal });
  expectAnswer(findings, sourceOf(endpoint, 'plaintext'), answer, {
    shown: undefined,
    accept: isHealthy,
    wanted: '200 {"health":"true"}',
  });
}
