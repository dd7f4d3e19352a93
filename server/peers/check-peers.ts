/** Asking the agents of the peers what they see of a component that was just changed: the worst failures are silent on its own host. */
import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { type Component, components as componentWords } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import {
  type CheckPeersRequest,
  type PeerAnswer,
  type PeerQuestion,
  PeerQuestionSchema,
} from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { Check } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { CheckResult } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { parseEndpoint } from '../config/endpoints.ts';
import { recordEvent } from '../events/record-event.ts';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import type { Coordinator } from '../permit/coordinator.ts';
import type { Store } from '../store/store.ts';
import { confirm } from './confirmations.ts';
import { type Answered, judgePeers } from './judge-peers.ts';
import { type Resolve, sharedEndpoints } from './shared-endpoints.ts';

/** What the request needs. */
export interface CheckPeersDeps {
  store: Store;
  clock: Clock;
  permits: Pick<Coordinator, 'held' | 'mayComeBack'>;
  components: () => FleetComponent[];
  /** Puts a question to the agent of a node; undefined when no answer came in time, AppError 'unavailable' when it went away. */
  ask: (
    node: string,
    question: PeerQuestion,
    timeoutMs: number,
    signal: AbortSignal,
  ) => Promise<PeerAnswer | undefined>;
  /** How long peers watch before they answer. */
  watchMs: number;
  /** HOST:PORT of the cluster's API. */
  apiEndpoint: string;
  resolve: Resolve;
}

/** Who talks to a component, over the network. */
const TALKS_TO: Record<Component, readonly Component[]> = {
  etcd: ['etcd', 'kube-apiserver'],
  'kube-apiserver': ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'],
  kubelet: ['kube-apiserver'],
  'kube-controller-manager': [],
  'kube-scheduler': [],
  'kube-proxy': [],
  admin: [],
};

/** True when components of other nodes call it, so that their word counts. */
export function hasPeers(component: Component): boolean {
  return TALKS_TO[component].length > 0;
}

const MOST_PEERS = 50;
const MOST_ENDPOINTS = 20;
const ANSWER_MARGIN_MS = 10_000;
/** Agents are back, and have sent a heartbeat, in about that time. */
const RETRY_MS = 5_000;

/**
 * Asks and judges. Passed, or skipped because nobody talks to the component, is remembered, so that the component's
 * report can be believed.
 *
 * @throws AppError 'policy-refused' without a permit for the component, 'invalid-request', 'node-unknown'; 'unavailable' when
 * this server does not know yet whether its former run gave the permit, or when every peer went away: ask again
 */
export async function checkPeers(
  request: CheckPeersRequest,
  caller: { name: string },
  signal: AbortSignal,
  deps: CheckPeersDeps,
): Promise<Check> {
  // 1. Who asks, and may it?
  const component = componentWords.toWord(request.component);
  if (component === undefined) throw new AppError('invalid-request', 'name the component that changed');
  const node = await deps.store.getNode(caller.name);
  if (node === undefined) throw new AppError('node-unknown', `${caller.name} is no node of this fleet`);
  if (deps.permits.held(node.name, request.permitId, component) === undefined) {
    if (deps.permits.mayComeBack(request.permitId)) {
      const text = 'the server has just started; the next heartbeat tells it of the permit';
      throw new AppError('unavailable', text, { retryAfterMs: RETRY_MS });
    }
    const text = `${node.name} holds no permit for ${component}; acquire one before the change`;
    throw new AppError('policy-refused', text);
  }
  const serial = request.serial.slice(0, 64);
  // 2. Ask all at once.
  const all = deps.components().filter((row) => row.node !== node.name && TALKS_TO[component].includes(row.component));
  const names = (online: boolean) => [...new Set(all.filter((row) => row.online === online).map((row) => row.node))];
  const hosts = [node.name, ...node.addresses];
  if (component === 'kube-apiserver') hosts.push(parseEndpoint(deps.apiEndpoint).host);
  // Only where the node is known to be: an agent must not be able to send its peers to any address it likes.
  const endpoints = request.endpoints.filter((endpoint) => isAt(endpoint, hosts)).slice(0, MOST_ENDPOINTS);
  const { apiEndpoint, resolve } = deps;
  const surroundings = { apiEndpoint, resolve, nodes: await deps.store.listNodes() };
  const question = create(PeerQuestionSchema, {
    node: node.name,
    component: request.component,
    endpoints,
    sharedEndpoints: await sharedEndpoints(node.name, component, endpoints, surroundings),
    since: request.since ?? timestampFromMs(deps.clock.nowMs() - deps.watchMs),
    watch: durationFromMs(deps.watchMs),
    serial,
  });
  const gone: string[] = [];
  const answers = await Promise.all(
    names(true)
      .slice(0, MOST_PEERS)
      .map(async (peer): Promise<Answered> => {
        const own = { ...question, questionId: randomUUID() };
        try {
          return { node: peer, answer: await deps.ask(peer, own, deps.watchMs + ANSWER_MARGIN_MS, signal) };
        } catch (error) {
          if (AppError.from(error).reason !== 'unavailable') throw error;
          gone.push(peer);
          return { node: peer, answer: undefined };
        }
      }),
  );
  signal.throwIfAborted();
  if (gone.length > 0 && answers.every(({ answer }) => answer === undefined)) {
    // their agents, or this server, restart: that says nothing about the component
    const text = `no peer answered, and ${gone.slice(0, 5).join(', ')} went away while asked`;
    throw new AppError('unavailable', text, { retryAfterMs: RETRY_MS });
  }
  // 3. Judge, and remember what speaks for the component.
  const check = judgePeers(
    component,
    answers,
    names(false).filter((name) => !names(true).includes(name)),
  );
  if (check.result === CheckResult.FAILED) {
    const message = `${component}: ${check.summary}`;
    await recordEvent(deps.store, { kind: 'peers.refused', node: node.name, message });
  } else {
    await confirm(deps.store, { node: node.name, component, serial }, check.summary);
  }
  return check;
}

function isAt(endpoint: string, hosts: readonly string[]): boolean {
  try {
    return hosts.includes(parseEndpoint(endpoint).host);
  } catch {
    return false; // no HOST:PORT
  }
}
