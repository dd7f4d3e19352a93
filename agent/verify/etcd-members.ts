/**
 * The members and the health of an etcd cluster, asked over its JSON gateway (etcd 3.4 to 3.6, api-grpc-gateway.md): the
 * gateway writes 64-bit numbers as decimal text, the project and etcdctl write identifiers in hexadecimal.
 */
import { z } from 'zod';
import { AppError } from '../../common/errors/app-error.ts';
import type { EtcdCluster } from '../plan/plan-input.ts';
import { endpointOfUrl } from './endpoints.ts';
import { describeOutcome, firstWords, PROBE_MS } from './handshake-probes.ts';
import { parseJson } from './parse-json.ts';
import { type ClientCredentials, type Probe, type ProbeOutcome, probe as probeOnce } from './probe.ts';

/** How to reach a member. */
export interface EtcdAccess {
  /** One of its client URLs, "http://127.0.0.1:2379". */
  url: string;
  /** For https: the roots to verify it with, and the certificate to show. */
  tls?: { rootsPem: string; client: ClientCredentials | undefined } | undefined;
  /** Name that its certificate has to be valid for; the URL's host unless given. */
  name?: string | undefined;
}

/** Health of a cluster as one member tells it. */
export interface EtcdHealth {
  /** GET /health said so: the member is up, and the cluster has a quorum. */
  healthy: boolean;
  /** Hexadecimal, '' while there is none. */
  leaderId: string;
  /** One line for a person. */
  detail: string;
}

const decimal = z.string().regex(/^[0-9]{1,20}$/);
const header = z.object({ cluster_id: decimal, member_id: decimal });
const memberList = z.object({
  header,
  members: z.array(
    z.object({
      ID: decimal,
      name: z.string().default(''),
      peerURLs: z.array(z.string()).default([]),
      clientURLs: z.array(z.string()).default([]),
    }),
  ),
});
const status = z.object({ leader: decimal.default('0') });
const health = z.object({ health: z.string(), reason: z.string().default('') });
const gatewayError = z.object({ message: z.string().optional(), error: z.string().optional(), code: z.number() });

/** True for etcd's word that it is healthy, with whatever else newer versions say. */
export function isHealthy(statusCode: number, body: string): boolean {
  return statusCode === 200 && health.safeParse(parseJson(body)).data?.health === 'true';
}

/**
 * The members as this one knows them. It works in a cluster without a leader only from etcd 3.4 backwards: later ones ask
 * the quorum.
 *
 * @throws AppError unavailable when the member does not answer, refuses us or is not trusted
 */
export async function listMembers(
  access: EtcdAccess,
  signal: AbortSignal,
  probe: Probe = probeOnce,
): Promise<EtcdCluster> {
  const body = await post(access, '/v3/cluster/member/list', {}, signal, probe);
  const answer = memberList.safeParse(parseJson(body));
  if (!answer.success) throw new AppError('unavailable', `${access.url} answers with a member list of another form`);
  return {
    clusterId: toHex(answer.data.header.cluster_id),
    memberId: toHex(answer.data.header.member_id),
    members: answer.data.members.map((member) => ({
      id: toHex(member.ID),
      name: member.name,
      peerUrls: member.peerURLs,
      clientUrls: member.clientURLs,
    })),
  };
}

/**
 * Makes new peer URLs of a member known to the cluster.
 *
 * @param memberId hexadecimal
 * @throws AppError not-found without such a member, conflict when another member has one of the URLs, unavailable when the
 * member asked does not answer or has no quorum
 */
export async function updateMember(
  access: EtcdAccess,
  memberId: string,
  peerUrls: readonly string[],
  signal: AbortSignal,
  probe: Probe = probeOnce,
): Promise<void> {
  const ID = BigInt(`0x${memberId}`).toString();
  await post(access, '/v3/cluster/member/update', { ID, peerURLs: peerUrls }, signal, probe);
}

/**
 * Asks a member how it and its cluster are. Whatever goes wrong on the way is an unhealthy answer.
 *
 * @throws AbortError when the signal fires
 */
export async function etcdHealth(
  access: EtcdAccess,
  signal: AbortSignal,
  probe: Probe = probeOnce,
): Promise<EtcdHealth> {
  const outcome = await ask(access, { method: 'GET', path: '/health' }, signal, probe);
  const detail = describeOutcome(outcome);
  if (outcome.kind !== 'answered') return { healthy: false, leaderId: '', detail };
  if (!isHealthy(outcome.status, outcome.body)) {
    return { healthy: false, leaderId: '', detail: `${detail} "${firstWords(outcome.body)}"` };
  }
  const answer = await ask(access, { method: 'POST', path: '/v3/maintenance/status', body: '{}' }, signal, probe);
  const leader = answer.kind === 'answered' ? status.safeParse(parseJson(answer.body)).data?.leader : undefined;
  const leaderId = leader === undefined || leader === '0' ? '' : toHex(leader);
  return { healthy: true, leaderId, detail: `${detail} {"health":"true"}, leader ${leaderId || 'unknown'}` };
}

/** What a member says of itself: 'unclear' when it cannot be asked. */
export type Pulse = 'healthy' | 'unhealthy' | 'unclear';

/**
 * Asks a member whether it takes part: it is healthy, or knows a leader, which also one does whose disk is full.
 *
 * @throws AbortError when the signal fires
 */
export async function etcdPulse(access: EtcdAccess, signal: AbortSignal, probe: Probe = probeOnce): Promise<Pulse> {
  if (endpointOfUrl(access.url) === undefined) return 'unclear';
  const outcome = await ask(access, { method: 'GET', path: '/health' }, signal, probe);
  if (outcome.kind !== 'answered') return 'unclear';
  if (isHealthy(outcome.status, outcome.body)) return 'healthy';
  const answer = await ask(access, { method: 'POST', path: '/v3/maintenance/status', body: '{}' }, signal, probe);
  const known = answer.kind === 'answered' ? status.safeParse(parseJson(answer.body)) : undefined;
  return known?.success && known.data.leader !== '0' ? 'healthy' : 'unhealthy';
}

async function post(
  access: EtcdAccess,
  path: string,
  message: object,
  signal: AbortSignal,
  probe: Probe,
): Promise<string> {
  const outcome = await ask(access, { method: 'POST', path, body: JSON.stringify(message) }, signal, probe);
  if (outcome.kind === 'answered' && outcome.status === 200) return outcome.body;
  throw errorOf(access, outcome);
}

function ask(
  access: EtcdAccess,
  request: { method: 'GET' | 'POST'; path: string; body?: string },
  signal: AbortSignal,
  probe: Probe,
): Promise<ProbeOutcome> {
  const endpoint = endpointOfUrl(access.url);
  if (endpoint === undefined || (endpoint.scheme === 'https') !== (access.tls !== undefined)) {
    throw new AppError('invalid-request', `${access.url} is no URL that can be asked with what is given`);
  }
  const { host, port } = endpoint;
  const name = access.name ?? endpoint.name;
  const tls =
    access.tls === undefined
      ? undefined
      : { trust: { kind: 'roots' as const, pem: access.tls.rootsPem, name }, client: access.tls.client };
  return probe({ host, port, tls, ...request, timeoutMs: PROBE_MS, signal });
}

/** The gateway answers errors with a code of gRPC. */
function errorOf(access: EtcdAccess, outcome: ProbeOutcome): AppError {
  const said = outcome.kind === 'answered' ? gatewayError.safeParse(parseJson(outcome.body)).data : undefined;
  const text = said?.message ?? said?.error ?? describeOutcome(outcome);
  if (said?.code === 5) return new AppError('not-found', `etcd at ${access.url}: ${text}`);
  if (said?.code === 6 || said?.code === 9) return new AppError('conflict', `etcd at ${access.url}: ${text}`);
  return new AppError('unavailable', `etcd at ${access.url}: ${text}: check that it runs and has a quorum`);
}

function toHex(number: string): string {
  return BigInt(number).toString(16);
}
