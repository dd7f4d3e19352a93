/** Whether the other members of this node's etcd cluster are there, asked before this one goes away. */
import { connect } from 'node:net';
import type { Detected, DetectedEtcd } from '../detect/detected.ts';
import type { Layout } from '../layout.ts';
import type { ComponentChange } from '../plan/change.ts';
import type { EtcdMember } from '../plan/plan-input.ts';
import { endpointOfUrl } from './endpoints.ts';
import { PROBE_MS } from './handshake-probes.ts';
import { localEtcdCluster } from './local-etcd.ts';
import { type Probe, probe as probeOnce } from './probe.ts';

/** Whether something listens there. */
export type Dial = (host: string, port: number, signal: AbortSignal) => Promise<boolean>;

/** How the members are reached. */
export interface MemberReach {
  probe: Probe;
  dial: Dial;
}

/**
 * Why the etcd of a change must not be restarted now: the server knows of the other members what their agents said last, and nothing of
 * one without an agent, and a quorum that is lost takes the whole cluster along. Only their peer ports are dialled, which every member
 * has to reach whatever certificates they show each other at the moment. Undefined when all listen, when there is no other member, when
 * etcd is not restarted, and when the local member does not answer: then it is away already.
 *
 * @throws AbortError when the signal fires
 */
export async function membersDown(
  layout: Layout,
  components: readonly Pick<ComponentChange, 'detected' | 'takeUp'>[],
  signal: AbortSignal,
  { probe, dial }: MemberReach = { probe: probeOnce, dial: listens },
): Promise<string | undefined> {
  const detected = components.flatMap((each) => (each.takeUp === 'restart' ? [each.detected] : [])).find(isEtcd);
  if (detected === undefined) return undefined;
  const cluster = await localEtcdCluster(layout, detected, signal, probe);
  const others = cluster?.members.filter(({ id }) => id !== cluster.memberId) ?? [];
  const answers = await Promise.all(others.map((member) => isUp(member, signal, dial)));
  signal.throwIfAborted();
  const down = others.filter((_, at) => answers[at] === false).map(({ id, name }) => name || id);
  if (down.length === 0) return undefined;
  return `etcd member ${down.join(', ')} does not listen on its peer URLs; this one is restarted when all others are up`;
}

function isEtcd(detected: Detected): detected is DetectedEtcd {
  return detected.component === 'etcd';
}

/** One of its peer URLs is enough. */
async function isUp({ peerUrls }: EtcdMember, signal: AbortSignal, dial: Dial): Promise<boolean> {
  const endpoints = peerUrls.flatMap((url) => endpointOfUrl(url) ?? []);
  const answers = await Promise.all(endpoints.map(({ host, port }) => dial(host, port, signal)));
  return answers.includes(true);
}

/** The real one: dials over TCP, and waits for as long as a probe may take. */
export const listens: Dial = (host, port, signal) =>
  new Promise((resolve) => {
    const socket = connect({ host, port, signal, timeout: PROBE_MS });
    const end = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', end(true)).once('timeout', end(false)).on('error', end(false));
  });
