/** Asking the agents of the peers what they see of a component that was just changed: the worst failures are silent on its own host. */
import { createHash, randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, durationMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { type Component, components as componentWords } from '../../common/names/names.ts';
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
import type { Stop } from '../rollout/rollout.ts';
import type { NodeRecord, Store } from '../store/store.ts';
import { confirm } from './confirmations.ts';
import { type Answered, complainersOf, judgePeers } from './judge-peers.ts';
import { type Resolve, sharedEndpoints } from './shared-endpoints.ts';

/** What the request needs. */
export interface CheckPeersDeps {
  store: Store;
  /** The server's time as agents know it, milliseconds since the epoch. */
  serverMs: () => number;
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
  /** Components of nodes about which the peers are being asked. */
  underWay: Set<string>;
  /** Stops the rollout. */
  pause: (stop: Stop) => Promise<void>;
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
/** Who complains is asked again what was so in this time: a kubelet that is turned away says so every ten seconds. */
const AGAIN_MS = 15_000;
const ANSWER_MARGIN_MS = 10_000;
/** Agents are back, and have sent a heartbeat, in about that time. */
const RETRY_MS = 5_000;

/**
 * Asks and judges. Passed, or skipped because nobody talks to the component, is remembered, so that the component's
 * report can be believed. A complaint that is not enough to undo the change stops the rollout.
 *
 * @throws AppError 'policy-refused' without a permit for the component, 'invalid-request', 'node-unknown'; 'unavailable' when
 * this server does not know yet whether its former run gave the permit, when the peers are being asked about the component, or when every peer went away: ask again
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
  // 2. One question at a time: a node must not be able to keep its peers busy.
  const key = `${node.name} ${component}`;
  if (deps.underWay.has(key)) {
    const text = `the peers are being asked about ${component} of ${node.name} already`;
    throw new AppError('unavailable', text, { retryAfterMs: RETRY_MS });
  }
  deps.underWay.add(key);
  try {
    return await askAndJudge({ request, node, component }, signal, deps);
  } finally {
    deps.underWay.delete(key);
  }
}

/** A component that changed. */
interface Subject {
  request: CheckPeersRequest;
  node: NodeRecord;
  component: Component;
}

async function askAndJudge(subject: Subject, signal: AbortSignal, deps: CheckPeersDeps): Promise<Check> {
  const { request, node, component } = subject;
  const serial = request.serial.slice(0, 64);
  const nodes = await deps.store.listNodes();
  const { leftOut } = await deps.store.getRollout();
  const talking = deps
    .components()
    .filter((row) => row.node !== node.name && TALKS_TO[component].includes(row.component))
    // what a node says that an operator left out of the rollout counts for nothing
    .filter((row) => !leftOut.includes(row.node));
  const online = new Set(talking.filter((row) => row.online).map((row) => row.node));
  const offline = new Set(talking.map((row) => row.node).filter((name) => !online.has(name)));
  const isTrusted = (name: string) => nodes.some((each) => each.name === name && each.role !== 'worker');
  const question = await questionOf(subject, nodes, deps);
  // 3. Ask all at once, and who complains once more, with one other beside them.
  const first = await askAll(choosePeers([...online], serial, isTrusted), question, signal, deps);
  const complainers = complainersOf(first);
  const content = first.find(({ node: peer, answer }) => answer?.concerned && !complainers.includes(peer));
  const again =
    complainers.length === 0
      ? []
      : await askAll(
          [...complainers, ...(content === undefined ? [] : [content.node])],
          againOf(question, deps),
          signal,
          deps,
        );
  // 4. Judge, and remember what speaks for the component.
  const { check, lone } = judgePeers(component, { first, again, offline: [...offline], isTrusted });
  const [peer] = lone;
  if (peer !== undefined) {
    const reason = `${component} of ${node.name}: ${check.summary}; look at ${lone.join(', ')} before you resume the rollout`;
    await deps.pause({ actor: `node/${peer}`, node: peer, reason, source: '' });
  }
  if (check.result === CheckResult.FAILED) {
    const message = `${component}: ${check.summary}`;
    await recordEvent(deps.store, { kind: 'peers.refused', node: node.name, message });
  } else {
    await confirm(deps.store, { node: node.name, component, serial }, check.summary);
  }
  return check;
}

async function questionOf(
  { request, node, component }: Subject,
  nodes: readonly NodeRecord[],
  { apiEndpoint, resolve, serverMs, watchMs, components }: CheckPeersDeps,
): Promise<PeerQuestion> {
  const hosts = [node.name, ...node.addresses];
  const reported = components().find((row) => row.node === node.name && row.component === component)?.status.endpoints;
  const ports = new Set((reported ?? []).map(portOf));
  if (component === 'kube-apiserver') {
    hosts.push(parseEndpoint(apiEndpoint).host);
    ports.add(portOf(apiEndpoint));
  }
  // Only where the node is known to be, and where it said before that the component serves: an agent must not be able to send its
  // peers to any address it likes.
  const endpoints = request.endpoints
    .filter((endpoint) => isAt(endpoint, hosts) && ports.has(portOf(endpoint)))
    .slice(0, MOST_ENDPOINTS);
  return create(PeerQuestionSchema, {
    node: node.name,
    component: request.component,
    endpoints,
    sharedEndpoints: await sharedEndpoints(node.name, component, endpoints, { apiEndpoint, resolve, nodes }),
    since: request.since ?? timestampFromMs(serverMs() - watchMs),
    watch: durationFromMs(watchMs),
    serial: request.serial.slice(0, 64),
  });
}

/** The same question about what is so from now on. */
function againOf(question: PeerQuestion, { serverMs }: CheckPeersDeps): PeerQuestion {
  return { ...question, since: timestampFromMs(serverMs()), watch: durationFromMs(AGAIN_MS) };
}

/**
 * Those that are asked: the control planes, and of the workers others for each certificate, so that no worker is passed over for ever.
 */
function choosePeers(names: readonly string[], serial: string, isTrusted: (name: string) => boolean): string[] {
  const draw = (name: string) => createHash('sha256').update(`${serial} ${name}`).digest('hex');
  const order = names.map((name) => ({ name, by: `${isTrusted(name) ? 0 : 1}${draw(name)}` }));
  return order
    .sort((left, right) => (left.by < right.by ? -1 : 1))
    .slice(0, MOST_PEERS)
    .map(({ name }) => name);
}

/** @throws AppError 'unavailable' when none answered, and some went away: ask again */
async function askAll(
  peers: readonly string[],
  question: PeerQuestion,
  signal: AbortSignal,
  deps: CheckPeersDeps,
): Promise<Answered[]> {
  const gone: string[] = [];
  const timeoutMs = (question.watch === undefined ? 0 : durationMs(question.watch)) + ANSWER_MARGIN_MS;
  const answers = await Promise.all(
    peers.map(async (peer): Promise<Answered> => {
      try {
        return {
          node: peer,
          answer: await deps.ask(peer, { ...question, questionId: randomUUID() }, timeoutMs, signal),
        };
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
  return answers;
}

function portOf(endpoint: string): number {
  try {
    return parseEndpoint(endpoint).port;
  } catch {
    return 0; // no HOST:PORT
  }
}

function isAt(endpoint: string, hosts: readonly string[]): boolean {
  try {
    return hosts.includes(parseEndpoint(endpoint).host);
  } catch {
    return false; // no HOST:PORT
  }
}
