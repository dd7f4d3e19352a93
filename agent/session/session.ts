/** The agent's standing talk with its server: says who it is and how it stands, hears what to do, and comes back after every break. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { create, equals } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import type { Log } from '../../common/log/log.ts';
import { components, type Mode, modes } from '../../common/names/names.ts';
import type { ClientStream } from '../../common/rpc/client.ts';
import { Backoff } from '../../common/time/backoff.ts';
import type { Clock } from '../../common/time/clock.ts';
import { version } from '../../common/version.ts';
import {
  type Inventory,
  InventorySchema,
  type PeerAnswer,
  type PeerQuestion,
  SessionRequestSchema,
  type SessionResponseSchema,
  type Settings,
  type SurveySchema,
  type TlsObservationSchema,
} from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { ServerLink } from '../link/server-link.ts';
import type { AgentSettings } from '../report/agent-state.ts';
import type { StatusBoard } from '../report/status-board.ts';
import { statusMessage } from '../report/status-message.ts';
import { readSettings } from './settings-message.ts';

/** Dependencies. */
export interface SessionDeps {
  link: ServerLink;
  clock: Clock;
  log: Log;
  board: StatusBoard;
  nodeName: string;
  mode: Mode;
  /** Permit held now, or ''; heartbeats renew it. */
  heldPermit(): string;
  /** Inventory to send after every connection, and when it is another than before. */
  inventory(): Inventory | undefined;
  /** New settings arrived; the offset is this node's monotonic clock less the server's time, in milliseconds, as they came. */
  onSettings(settings: AgentSettings, offsetMs: number): void;
  /** A question about another node's component. */
  answer(question: PeerQuestion, signal: AbortSignal): Promise<PeerAnswer>;
}

/** How the session stands, for `status`. */
export interface SessionState {
  connected: boolean;
  /** Since when, milliseconds since the epoch. */
  sinceMs: number;
  /** Why it is not connected, or ''. */
  problem: string;
  /** Failed attempts since the last connection. */
  attempts: number;
}

type Stream = ClientStream<typeof SessionRequestSchema, typeof SessionResponseSchema>;

/** A session that lived so long was a good one; after a shorter one the waiting grows: two agents of one name end each other's. */
const GOOD_MS = 60_000;

/** A node that holds a permit comes back so soon: others wait for it, and it for the peers' word. Few hold one at once. */
const HOLDING_MS = 5_000;

/** Observations kept while the server cannot be reached. */
const MAX_WAITING = 200;

/** The session. */
export class Session {
  readonly #deps: SessionDeps;
  readonly #backoff = new Backoff({ firstMs: 1_000, maxMs: 60_000 });
  #stream: Stream | undefined;
  /** As sent last on the stream. */
  #inventory: Inventory | undefined;
  /** The last one; undefined before the first look. */
  #survey: MessageInitShape<typeof SurveySchema> | undefined;
  #waiting: MessageInitShape<typeof TlsObservationSchema>[] = [];
  #state: SessionState;
  /** When it was connected last, by the monotonic clock. */
  #connectedMs = 0;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
    this.#state = { connected: false, sinceMs: deps.clock.nowMs(), problem: 'not connected yet', attempts: 0 };
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Keeps the session up until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    const stopListening = this.#deps.board.listen((status) => {
      this.#stream?.write({ message: { case: 'report', value: statusMessage(status) } });
    });
    try {
      while (!signal.aborted) {
        try {
          await this.#talk(signal);
          this.#lost('the server ended the session');
        } catch (error) {
          signal.throwIfAborted();
          const failure = AppError.from(error);
          this.#lost(describe(failure));
          log.warn('session with the server is down', { error: failure, attempt: this.#state.attempts });
        }
        const waitMs = this.#backoff.nextMs();
        await clock.sleep(this.#deps.heldPermit() === '' ? waitMs : Math.min(waitMs, HOLDING_MS), signal);
      }
    } finally {
      stopListening();
    }
  }

  /** Tells the server of a TLS failure; kept until it can be told. */
  observe(observation: MessageInitShape<typeof TlsObservationSchema>): void {
    if (this.#stream !== undefined) this.#stream.write({ message: { case: 'observation', value: observation } });
    else this.#waiting = [...this.#waiting, observation].slice(-MAX_WAITING);
  }

  /** Sends the inventory as it is now, unless the server has it already. */
  sendInventory(): void {
    const value = this.#deps.inventory();
    if (value === undefined || this.#stream === undefined) return;
    if (this.#inventory !== undefined && equals(InventorySchema, this.#inventory, value)) return;
    this.#inventory = value;
    this.#stream.write({ message: { case: 'inventory', value } });
  }

  /** Says that what stands on the board is all that runs here, as it was found by the settings of that trust generation. */
  survey(trustGeneration: number): void {
    const found = this.#deps.board.all().map(({ component }) => components.toNumber(component));
    this.#survey = { components: found, trustGeneration: BigInt(trustGeneration) };
    this.#sendSurvey();
  }

  #sendSurvey(): void {
    if (this.#survey !== undefined) this.#stream?.write({ message: { case: 'survey', value: this.#survey } });
  }

  async #talk(outer: AbortSignal): Promise<void> {
    const { link } = this.#deps;
    const ended = new AbortController();
    const signal = AbortSignal.any([outer, ended.signal]);
    const { agent } = await link.calls();
    const stream: Stream = agent.session({ signal });
    let beats = new AbortController();
    let everyMs = 0;
    try {
      stream.write(this.#hello());
      for await (const { message } of stream) {
        if (!this.#state.connected) this.#connected(stream);
        if (message.case === 'settings') {
          const settings = this.#read(message.value);
          if (settings === undefined) continue;
          this.#deps.onSettings(settings, this.#offsetOf(message.value));
          if (settings.heartbeatMs === everyMs) continue;
          everyMs = settings.heartbeatMs;
          beats.abort();
          beats = new AbortController();
          void this.#beat(stream, everyMs, AbortSignal.any([signal, beats.signal]));
        } else if (message.case === 'peerQuestion') {
          void this.#answer(stream, message.value, signal);
        }
      }
    } finally {
      this.#stream = undefined;
      ended.abort();
    }
  }

  /** Undefined for settings that nothing can be planned with: those before stay, and better ones may come. */
  #read(message: Settings): AgentSettings | undefined {
    const { log, nodeName } = this.#deps;
    try {
      const settings = readSettings(message, nodeName);
      log.debug('settings', { generation: settings.generation });
      return settings;
    } catch (error) {
      log.warn('settings of the server cannot be used', { error });
      return undefined;
    }
  }

  /** Beats at the interval until the signal fires. */
  async #beat(stream: Stream, everyMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    try {
      for (;;) {
        await clock.sleep(everyMs, signal);
        this.#writeHeartbeat(stream);
      }
    } catch {
      // only the signal ends a sleep
    }
  }

  #writeHeartbeat(stream: Stream): void {
    const { clock, heldPermit } = this.#deps;
    const value = { nodeTime: timestampFromMs(clock.nowMs()), permitId: heldPermit() };
    stream.write({ message: { case: 'heartbeat', value } });
  }

  async #answer(stream: Stream, question: PeerQuestion, signal: AbortSignal): Promise<void> {
    try {
      const value = await this.#deps.answer(question, signal);
      stream.write({ message: { case: 'peerAnswer', value } });
    } catch (error) {
      if (!signal.aborted) this.#deps.log.warn('a peer question could not be answered', { node: question.node, error });
    }
  }

  #offsetOf({ serverTime }: Settings): number {
    const { clock } = this.#deps;
    return clock.monotonicMs() - (serverTime === undefined ? clock.nowMs() : timestampMs(serverTime));
  }

  #hello() {
    const { clock, board, mode } = this.#deps;
    const value = {
      agentVersion: version,
      mode: modes.toNumber(mode),
      nodeTime: timestampFromMs(clock.nowMs()),
      components: board.all().map(statusMessage),
    };
    return create(SessionRequestSchema, { message: { case: 'hello', value } });
  }

  #connected(stream: Stream): void {
    this.#stream = stream;
    this.#inventory = undefined;
    this.#connectedMs = this.#deps.clock.monotonicMs();
    this.#state = { connected: true, sinceMs: this.#deps.clock.nowMs(), problem: '', attempts: 0 };
    this.#deps.log.info('session with the server is up');
    this.sendInventory();
    for (const value of this.#waiting) stream.write({ message: { case: 'observation', value } });
    this.#waiting = [];
    // what changed between the hello and now was not heard by anybody
    for (const status of this.#deps.board.all())
      stream.write({ message: { case: 'report', value: statusMessage(status) } });
    this.#sendSurvey();
    if (this.#deps.heldPermit() !== '') this.#writeHeartbeat(stream); // a server that has just started knows of none
  }

  #lost(problem: string): void {
    const { connected } = this.#state;
    const { clock } = this.#deps;
    if (connected && clock.monotonicMs() - this.#connectedMs >= GOOD_MS) this.#backoff.reset();
    const sinceMs = connected ? clock.nowMs() : this.#state.sinceMs;
    this.#state = { connected: false, sinceMs, problem, attempts: this.#state.attempts + 1 };
  }
}

/** The failure with what to do about it. */
function describe({ reason, message }: AppError): string {
  switch (reason) {
    case 'node-unknown':
      return `${message}; the server does not know this node: join it again with a new token`;
    case 'node-revoked':
      return `${message}; this node was removed from the fleet`;
    case 'unauthenticated':
      return `${message}; if this node's identity has expired, join it again with a new token`;
    default:
      return message;
  }
}
