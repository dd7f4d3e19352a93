/** Whether the other members of this node's etcd cluster are there, asked before this one goes away. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Detected, DetectedEtcd } from '../detect/detected.ts';
import { isLoopback } from '../journal/host-port.ts';
import type { Layout } from '../layout.ts';
import type { ComponentChange } from '../plan/change.ts';
import type { EtcdMember } from '../plan/plan-input.ts';
import { endpointOfUrl } from './endpoints.ts';
import { type EtcdAccess, etcdPulse, listMembers, type Pulse } from './etcd-members.ts';
import { PROBE_MS } from './handshake-probes.ts';
import { localEtcdAccess } from './local-etcd.ts';
import { type Probe, probe as probeOnce } from './probe.ts';

/**
 * Why the etcd of a change must not be restarted now: the server knows of the other members what their agents said last, and nothing of
 * one without an agent, and a quorum that is lost takes the whole cluster along. They are asked for their health at their client URLs; an
 * open port alone is no answer, since a process that hangs has one. Where nobody can be asked there, because its certificate or ours is of
 * another CA at the moment or a firewall is in between, an answer of its peer listener will do, also a refusal. Undefined when all answer,
 * when there is no other member, when etcd is not restarted, and when the local member does not answer: then it is away already.
 *
 * @throws AbortError when the signal fires
 */
export async function membersDown(
  layout: Layout,
  components: readonly Pick<ComponentChange, 'detected' | 'takeUp'>[],
  signal: AbortSignal,
  probe: Probe = probeOnce,
): Promise<string | undefined> {
  const detected = components.flatMap((each) => (each.takeUp === 'restart' ? [each.detected] : [])).find(isEtcd);
  if (detected === undefined) return undefined;
  const local = await ask(layout, detected, signal, probe);
  if (local === undefined) return undefined;
  const { access, cluster } = local;
  const others = cluster.members.filter(({ id }) => id !== cluster.memberId);
  const answers = await Promise.all(others.map((member) => isUp(member, access, signal, probe)));
  signal.throwIfAborted();
  const down = others.filter((_, at) => answers[at] === false).map(({ id, name }) => name || id);
  if (down.length === 0) return undefined;
  return `etcd member ${down.join(', ')} does not answer that it is healthy; this one is restarted when all others are up`;
}

function isEtcd(detected: Detected): detected is DetectedEtcd {
  return detected.component === 'etcd';
}

/** The local member; undefined when it does not answer. */
async function ask(layout: Layout, detected: DetectedEtcd, signal: AbortSignal, probe: Probe) {
  try {
    const access = await localEtcdAccess(layout, detected);
    return { access, cluster: await listMembers(access, signal, probe) };
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

/** One of its URLs is enough; what it says of itself counts more than that it says something. */
async function isUp(member: EtcdMember, local: EtcdAccess, signal: AbortSignal, probe: Probe): Promise<boolean> {
  const urls = member.clientUrls.filter((url) => !isHere(url)); // there this member would answer for the other
  const pulses = await Promise.all(urls.map((url) => pulseAt(url, local, signal, probe)));
  if (pulses.includes('healthy')) return true;
  if (pulses.includes('unhealthy')) return false;
  const answers = await Promise.all(member.peerUrls.map((url) => answersAt(url, signal, probe)));
  return answers.includes(true);
}

async function pulseAt(url: string, { tls }: EtcdAccess, signal: AbortSignal, probe: Probe): Promise<Pulse> {
  if (!url.startsWith('https:')) return etcdPulse({ url }, signal, probe);
  return tls === undefined ? 'unclear' : etcdPulse({ url, tls }, signal, probe);
}

/** True when a process answers there, be it that it refuses us. */
async function answersAt(url: string, signal: AbortSignal, probe: Probe): Promise<boolean> {
  const endpoint = endpointOfUrl(url);
  if (endpoint === undefined || isHere(url)) return false;
  const { host, port, scheme } = endpoint;
  const tls = scheme === 'https' ? { trust: { kind: 'unverified' as const } } : undefined;
  const outcome = await probe({ host, port, tls, method: 'GET', path: '/version', timeoutMs: PROBE_MS, signal });
  return outcome.kind !== 'unreachable' && !(outcome.kind === 'refused' && outcome.by === 'reset' && !outcome.served);
}

function isHere(url: string): boolean {
  return isLoopback(endpointOfUrl(url)?.host ?? '');
}
