/** One agent's stream, from hello to its end. */
import { toBinary } from '@bufbuild/protobuf';
import { type Timestamp, timestampMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { modes } from '../../common/names/names.ts';
import type { CallContext } from '../../common/rpc/handlers.ts';
import type { Clock } from '../../common/time/clock.ts';
import {
  type Hello,
  type Inventory,
  InventorySchema,
  type SessionRequest,
  type TlsObservation,
} from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { Coordinator } from '../permit/coordinator.ts';
import type { Rotation } from '../rotation/rotation.ts';
import type { NodeRecord } from '../store/store.ts';
import type { AgentStream, Session, Sessions } from './sessions.ts';
import { type ReportDeps, takeObservation, takeReport, takeSurvey } from './take-report.ts';
import type { Presence } from './watch-silence.ts';

/** What a session needs. */
export interface ServeSessionDeps extends ReportDeps {
  clock: Clock;
  sessions: Sessions;
  permits: Pick<Coordinator, 'renew' | 'stopsRollout'>;
  /** Told after every report: the phase of a change of roots may be complete. */
  rotation: Pick<Rotation, 'check'>;
  presence: Presence;
}

/** A node's record is written at most this often for heartbeats: each write is an fsync. */
const STORE_SEEN_MS = 60_000;
/** The same failure is an event once in this time. */
const SAME_OBSERVATION_MS = 30_000;
const MOST_CERTIFICATES = 1000;

/**
 * Serves a session until the agent closes it, its node is ended by the server, or the connection breaks.
 *
 * @throws AppError 'invalid-request' when the agent does not begin with its hello, 'conflict' when another session of the
 * node begins, 'node-unknown', 'node-revoked', 'unavailable' when the server stops
 */
export async function serveSession(
  stream: AgentStream,
  call: Pick<CallContext, 'signal' | 'address'>,
  caller: { name: string },
  deps: ServeSessionDeps,
): Promise<void> {
  const node = await deps.store.getNode(caller.name);
  if (node === undefined) throw new AppError('node-unknown', 'this node is not known; enrol it again');
  if (node.revoked) throw new AppError('node-revoked', `${node.name} was removed; ask an operator`); // since it was let in
  deps.fleet.noteNode(node);
  const session = deps.sessions.open(node, stream);
  try {
    const over = whenOver(session.ended, call.signal);
    await Promise.race([takeAll(stream, session, call.address, deps), over]);
  } finally {
    deps.sessions.close(session);
    await deps.store.updateNode(node.name, { lastSeenAtMs: session.heardAtMs });
    await deps.sessions.pushSettings(); // what others may do depends on who is there
  }
}

async function takeAll(stream: AgentStream, session: Session, address: string, deps: ServeSessionDeps): Promise<void> {
  const seen = new Map<string, number>();
  let storedMs = 0;
  for await (const { message } of stream) {
    if (session.ended.aborted) return;
    session.heardAtMs = deps.clock.nowMs();
    session.heardMonotonicMs = deps.clock.monotonicMs();
    if (message.case === 'hello') {
      await takeHello(message.value, session, address, deps);
      storedMs = session.heardMonotonicMs;
    } else if (!session.ready) {
      throw new AppError('invalid-request', 'a session begins with a hello');
    } else if (message.case === 'heartbeat') {
      session.skewMs = skewOf(message.value.nodeTime, session.heardAtMs);
      await deps.permits.renew(session.node.name, message.value.permitId);
      if (session.heardMonotonicMs - storedMs >= STORE_SEEN_MS) {
        await storeSeen(session, deps);
        storedMs = session.heardMonotonicMs;
      }
    } else {
      await takeOther(message, session, seen, deps);
    }
  }
}

async function takeHello(hello: Hello, session: Session, address: string, deps: ServeSessionDeps): Promise<void> {
  const { name } = session.node;
  session.skewMs = skewOf(hello.nodeTime, session.heardAtMs);
  await storeSeen(session, deps, { agentVersion: hello.agentVersion.slice(0, 64), mode: modes.toWord(hello.mode) });
  await deps.presence.came(name, address);
  for (const status of hello.components.slice(0, 10)) await takeReport(name, status, deps);
  session.ready = true;
  await deps.sessions.pushSettings();
  await deps.rotation.check();
}

async function takeOther(
  message: SessionRequest['message'],
  session: Session,
  seen: Map<string, number>,
  deps: ServeSessionDeps,
): Promise<void> {
  const { name } = session.node;
  switch (message.case) {
    case 'report':
      await takeReport(name, message.value, deps);
      await deps.sessions.pushSettings();
      return deps.rotation.check();
    case 'observation':
      if (!isNew(message.value, session.heardMonotonicMs, seen)) return;
      await takeObservation(name, message.value, deps);
      return deps.sessions.pushSettings();
    case 'survey':
      await takeSurvey(name, message.value, deps);
      session.surveyed = message.value.trustGeneration;
      await deps.sessions.pushSettings();
      return deps.rotation.check();
    case 'inventory':
      return deps.store.putInventory(name, inventoryBytes(message.value));
    case 'peerAnswer':
      return deps.sessions.answer(session, message.value);
    default:
      return; // an agent newer than this server says more than it knows
  }
}

/** One write for all that is new of a node: each is an fsync. */
async function storeSeen(session: Session, deps: ServeSessionDeps, more: Partial<NodeRecord> = {}): Promise<void> {
  const fields = { ...more, lastSeenAtMs: session.heardAtMs, clockSkewMs: session.skewMs };
  await deps.store.updateNode(session.node.name, fields);
}

function isNew(observation: TlsObservation, nowMs: number, seen: Map<string, number>): boolean {
  const { component, cause, fault, remote } = observation;
  // cut before it is put together: a part of a text keeps the whole in memory
  const key = JSON.stringify([component, cause.slice(0, 64), fault.slice(0, 64), remote.slice(0, 256)]);
  const lastMs = seen.get(key);
  if (lastMs !== undefined && nowMs - lastMs < SAME_OBSERVATION_MS) return false;
  if (seen.size >= 200) seen.clear();
  seen.set(key, nowMs);
  return true;
}

function inventoryBytes(inventory: Inventory): Uint8Array {
  return toBinary(InventorySchema, { ...inventory, certificates: inventory.certificates.slice(0, MOST_CERTIFICATES) });
}

function skewOf(nodeTime: Timestamp | undefined, nowMs: number): number | undefined {
  return nodeTime === undefined ? undefined : timestampMs(nodeTime) - nowMs;
}

/** Resolves when the caller hangs up, rejects with the reason when the server ends the session. */
function whenOver(ended: AbortSignal, hungUp: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    ended.addEventListener('abort', () => reject(AppError.from(ended.reason)), { once: true });
    hungUp.addEventListener('abort', () => resolve(), { once: true });
    if (hungUp.aborted) resolve();
  });
}
