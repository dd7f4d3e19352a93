/** The live sessions of agents: one a node, settings down, questions down and answers up. */
import { randomUUID } from 'node:crypto';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import type { ServerStream } from '../../common/rpc/handlers.ts';
import { type Clock, steadyTime } from '../../common/time/clock.ts';
import {
  type PeerAnswer,
  type PeerQuestion,
  type SessionRequestSchema,
  type SessionResponseSchema,
  SettingsSchema,
} from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { FleetState } from '../fleet/fleet-state.ts';
import type { NodeRecord, Store } from '../store/store.ts';
import type { KubeletLatch } from './kubelet-latch.ts';
import { computeSettings, type SettingsConfig, type TrustSettings } from './settings.ts';

/** The stream of a session as the server holds it. */
export type AgentStream = ServerStream<typeof SessionRequestSchema, typeof SessionResponseSchema>;

/** What the registry needs. */
export interface SessionsDeps {
  store: Store;
  clock: Clock;
  fleet: FleetState;
  latch: KubeletLatch;
  config: SettingsConfig;
  trust: () => TrustSettings;
}

/** A session. */
export interface Session {
  readonly node: NodeRecord;
  /** Fires with the reason when the server ends it. */
  readonly ended: AbortSignal;
  /** When the agent said something last, milliseconds since the epoch, for people. */
  heardAtMs: number;
  /** The same by the monotonic clock. */
  heardMonotonicMs: number;
  /** Clock of the node less ours. */
  skewMs: number | undefined;
  /** False until its hello was taken up: before, it gets no settings. */
  ready: boolean;
  /** By the settings of which trust generation its agent has looked at the whole node; undefined before it has. */
  surveyed: bigint | undefined;
}

interface Live extends Session {
  stream: AgentStream;
  end: AbortController;
  generation: bigint;
  sent: string;
  questions: Map<string, PromiseWithResolvers<PeerAnswer>>;
}

/** The registry. */
export class Sessions {
  readonly #deps: SessionsDeps;
  /** The time that agents are told: they compare it with their own. */
  readonly serverMs: () => number;
  readonly #live = new Map<string, Live>();
  /** When nodes were heard of last whose session is over, by the monotonic clock. */
  readonly #heardMs = new Map<string, number>();
  #lastPush: Promise<void> = Promise.resolve();
  #nextPush: Promise<void> | undefined;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
    this.serverMs = steadyTime(deps.clock);
  }

  /** Begins a session, and ends the one that the node has. */
  open(node: NodeRecord, stream: AgentStream): Session {
    const error = new AppError('conflict', 'another session of this node began; two agents must not run on one node');
    this.end(node.name, error);
    const end = new AbortController();
    const nowMs = this.#deps.clock.nowMs();
    const live: Live = {
      node,
      stream,
      end,
      ended: end.signal,
      heardAtMs: nowMs,
      heardMonotonicMs: this.#deps.clock.monotonicMs(),
      skewMs: undefined,
      ready: false,
      surveyed: undefined,
      generation: BigInt(nowMs), // rises over restarts of the server too
      sent: '',
      questions: new Map(),
    };
    this.#live.set(node.name, live);
    return live;
  }

  /** Forgets a session that is over. */
  close(session: Session): void {
    const live = this.#live.get(session.node.name);
    if (live !== session) return; // a newer one took its place
    this.#live.delete(session.node.name);
    this.#heardMs.set(session.node.name, session.heardMonotonicMs);
    for (const question of live.questions.values()) question.reject(wentAway(live.node.name));
  }

  /** Ends the session of a node, if it has one. */
  end(node: string, error: AppError): void {
    const live = this.#live.get(node);
    if (live === undefined) return;
    this.close(live);
    live.end.abort(error);
  }

  /** Ends all, when the server stops. */
  endAll(): void {
    for (const node of [...this.#live.keys()]) this.end(node, new AppError('unavailable', 'the server is stopping'));
  }

  /** The session of a node. */
  get(node: string): Session | undefined {
    return this.#live.get(node);
  }

  /** When the node was heard of last since the start, by the monotonic clock; undefined when it was not. */
  heardMs(node: string): number | undefined {
    return this.#live.get(node)?.heardMonotonicMs ?? this.#heardMs.get(node);
  }

  /** True when the node has a session. */
  isOnline(node: string): boolean {
    return this.#live.has(node);
  }

  /** How many there are. */
  get count(): number {
    return this.#live.size;
  }

  /** Sends settings to every agent for which they are others than before. Many wishes at once are one look at the fleet. */
  pushSettings(): Promise<void> {
    this.#nextPush ??= this.#lastPush.then(async () => {
      await new Promise(setImmediate);
      this.#nextPush = undefined;
      const push = this.#push();
      this.#lastPush = push.catch(() => {}); // whoever wished it is told
      return push;
    });
    return this.#nextPush;
  }

  async #push(): Promise<void> {
    const { store, fleet, latch, config } = this.#deps;
    const components = fleet.components((node) => this.isOnline(node));
    const rollout = await store.getRollout();
    const trust = this.#deps.trust();
    await latch.update({
      components,
      nodes: async () => (await store.listNodes()).filter(({ revoked }) => !revoked),
      leftOut: rollout.leftOut,
      isSurveyed: (node) => this.#live.get(node)?.surveyed !== undefined,
      isComplete: [...this.#live.values()].every((live) => live.surveyed !== undefined),
      kubeletsCanComeFirst: trust.kubeletsCanComeFirst,
    });
    const etcd = components.filter((row) => row.component === 'etcd'); // of the rest nothing depends on the node
    for (const live of this.#live.values()) {
      if (!live.ready) continue;
      const settings = computeSettings({
        ...{ config, node: live.node, etcd, rollout },
        ...{ kubeletVerification: latch.value, trust },
      });
      const text = Buffer.from(toBinary(SettingsSchema, create(SettingsSchema, settings))).toString('base64');
      if (text === live.sent) continue;
      live.sent = text;
      live.generation++;
      const value = { ...settings, generation: live.generation, serverTime: timestampFromMs(this.serverMs()) };
      send(live, { message: { case: 'settings', value } });
    }
  }

  /**
   * Puts a question to an agent; undefined when it is silent for that time.
   *
   * @throws AppError 'unavailable' when its session ends meanwhile, or has ended
   */
  async ask(
    node: string,
    question: PeerQuestion,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<PeerAnswer | undefined> {
    const live = this.#live.get(node);
    if (live === undefined) throw wentAway(node);
    const questionId = question.questionId === '' ? randomUUID() : question.questionId;
    const done = new AbortController();
    const answer = Promise.withResolvers<PeerAnswer>();
    live.questions.set(questionId, answer);
    send(live, { message: { case: 'peerQuestion', value: { ...question, questionId } } });
    const late = this.#deps.clock.sleep(timeoutMs, AbortSignal.any([signal, done.signal])).catch(() => undefined);
    try {
      return (await Promise.race([answer.promise, late])) ?? undefined;
    } finally {
      live.questions.delete(questionId);
      done.abort();
    }
  }

  /** Takes up an answer; one that nobody asked for is dropped. */
  answer(session: Session, answer: PeerAnswer): void {
    const live = this.#live.get(session.node.name);
    if (live === session) live.questions.get(answer.questionId)?.resolve(answer);
  }
}

function wentAway(node: string): AppError {
  return new AppError('unavailable', `${node} went away while it was asked`);
}

function send(live: Live, message: MessageInitShape<typeof SessionResponseSchema>): void {
  live.stream.write(message);
}
