/** Handshakes with an etcd member: its client and its peer listeners. */
import type { DetectedEtcd } from '../detect/detected.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { readCredentials } from './credentials.ts';
import { type Endpoint, etcdClientEndpoints, etcdPeerEndpoints } from './endpoints.ts';
import { isHealthy } from './etcd-members.ts';
import { type Expectation, rootsOf, serialOf } from './expectation.ts';
import { Findings } from './findings.ts';
import { describeOutcome, expectAnswer, expectRefusal, get, sourceOf } from './handshake-probes.ts';
import type { ClientCredentials } from './probe.ts';

type EtcdExpectation = Expectation<DetectedEtcd>;

/** One attempt. Skipped when the member is only prepared and all its listeners still speak plaintext. */
export async function etcdHandshake(
  deps: LiveDeps,
  expectation: EtcdExpectation,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const { detected, folder, target } = expectation;
  const findings = new Findings('handshake', deps.clock);
  const clientEndpoints = etcdClientEndpoints(detected.settings, target);
  const peerEndpoints = etcdPeerEndpoints(detected.settings, target);
  if (clientEndpoints.length === 0) findings.fail('listen-client-urls', 'holds no http or https URL to probe');
  if (target === 'prepared' && [...clientEndpoints, ...peerEndpoints].every(({ scheme }) => scheme === 'http')) {
    for (const endpoint of clientEndpoints) await expectPlaintextHealth(deps, findings, endpoint, signal);
    return findings.skipped('etcd holds its certificates and still listens in plaintext until the fleet enforces TLS');
  }

  const [client, peer] = await Promise.all([
    readCredentials(folder, 'healthcheck-client'),
    readCredentials(folder, 'peer'),
  ]);
  for (const endpoint of clientEndpoints) {
    if (endpoint.scheme === 'http') await expectPlaintextHealth(deps, findings, endpoint, signal);
    else await probeClientUrl(deps, findings, expectation, endpoint, client, signal);
  }
  for (const endpoint of peerEndpoints.filter(({ scheme }) => scheme === 'https')) {
    await probePeerUrl(deps, findings, expectation, endpoint, peer, signal);
  }
  return findings.outcome('etcd shows its new certificates and refuses callers without one');
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
    serial: serialOf(expectation, 'server'),
    accept: isHealthy,
    wanted: '200 {"health":"true"}',
  });
  if (expectation.target !== 'enforced') return;
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
  client: ClientCredentials,
  signal: AbortSignal,
): Promise<void> {
  const ask = { endpoint, path: '/version', rootsPem: rootsOf(expectation, 'etcd'), signal };
  expectAnswer(findings, sourceOf(endpoint, 'peer certificate'), await get(probe, { ...ask, client }), {
    serial: serialOf(expectation, 'peer'),
    accept: (status, body) => status === 200 && body.includes('etcdserver'),
    wanted: '200 with the version of etcd',
  });
  if (expectation.target !== 'enforced') return;
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
    serial: undefined,
    accept: isHealthy,
    wanted: '200 {"health":"true"}',
  });
}
