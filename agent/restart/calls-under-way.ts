/**
 * Tells whether an API server that has closed its port still works on calls other than watches.
 *
 * It can be asked nothing any more, and its connections are encrypted, so that what the kernel knows of them has to do. Once the port is
 * closed clients are told to begin no call on the connections they have (GOAWAY of HTTP/2, "Connection: close" of HTTP/1.1). What was
 * under way then is taken to be through, and what is left to be watches, when nothing moves:
 *
 * - no byte went to or came from a client for {@link QUIET_MS}, and none waits to be read or acknowledged;
 * - it waits for nobody: on no connection that it dialled (etcd, webhooks, kubelets, aggregated APIs) did it speak last, less than
 *   {@link BOUND_MS} ago. On a new one this does not tell, since a server's session tickets of TLS 1.3 come after the first request: one
 *   with few segments counts until BOUND_MS after it last spoke there, unless what came took longer than tickets do. To etcd, where
 *   an acknowledgment of gRPC is often its last word, {@link ETCD_MS} is the limit, and new ones are not told apart;
 * - it does not compute: less than {@link BUSY_SHARE} of a processor since the last look, as a large list takes before its first byte.
 *
 * Where other API servers go on, watches are told of their writes and a connection may never be quiet. {@link BOUND_MS} after the port was
 * closed every call that takes less is through, so that bytes that come and go then count only where a transfer is under way.
 *
 * Limits. A call that waits longer than QUIET_MS for something else than these is cut: a plugin behind a unix socket (KMS), a lock, a server
 * of HTTP/2 that acknowledges a request at once and answers it later; so is one whose webhook takes longer than BOUND_MS. What a watch is nobody sees from outside: exec, attach, port-forward, logs that are
 * followed are cut like watches when they are quiet, and after BOUND_MS in any case but a transfer.
 */
import type { Connection } from '../process/connections.ts';

/** Above the 0 to 100 ms that a short call took on an idle v1.20.2, and well below the seconds that a start takes. */
export const QUIET_MS = 400;
/** Calls of Kubernetes' own components take less: API servers give a webhook 10 s by default, and its objective for calls is 1 s. */
export const BOUND_MS = 10_000;
/** Share of one processor. */
export const BUSY_SHARE = 0.3;
/** Seen with v1.20.2: an acknowledgment that etcd does not answer, as the port was closed. A healthy etcd writes within this time. */
const ETCD_MS = 1000;
/** Segments of a handshake, the settings of HTTP/2 and a request or two. */
const FEW_SEGMENTS = 8;
/** Longer than a way there and back, after which tickets are there. */
const TICKETS_MS = 200;
/** A client that has acknowledged nothing for so long takes nothing: its host is gone, perhaps. */
const TAKES_MS = 1000;

/** What is seen of a process that has closed its port. */
export interface ClosedServer {
  /** The connections that it holds. */
  connections: readonly Connection[];
  /** Ports on which it listened. */
  ports: ReadonlySet<number>;
  /** Ports of its etcd. */
  etcdPorts: ReadonlySet<number>;
  /** Milliseconds since it was first seen with its port closed. */
  closedForMs: number;
  /** Share of one processor that it took since the last look. */
  load: number;
}

/** Why a call may be under way, for the log; undefined when nothing tells of one. */
export function callsUnderWay({ connections, ports, etcdPorts, closedForMs, load }: ClosedServer): string | undefined {
  if (closedForMs < QUIET_MS) return 'its port was closed just now';
  const clients = connections.filter(({ localPort }) => ports.has(localPort));
  if (clients.some(isTransfer)) return 'a client takes what it sends';
  const own = new Set(clients.map(({ peer }) => peer)); // it is a client of itself
  const dialled = connections.filter(({ localPort, local }) => !ports.has(localPort) && !own.has(local));
  const asked = dialled.find((each) => isAsked(each, etcdPorts.has(each.peerPort)));
  if (asked !== undefined) return `it waits for ${asked.peer}`;
  if (closedForMs >= BOUND_MS) return undefined;
  if (load >= BUSY_SHARE) return 'it computes';
  const moving = clients.find(({ unread, sentMsAgo, receivedMsAgo }) => {
    return unread > 0 || Math.min(sentMsAgo, receivedMsAgo) < QUIET_MS;
  });
  return moving === undefined ? undefined : `${moving.peer} and it exchange data`;
}

function isTransfer({ unsent, ackedMsAgo }: Connection): boolean {
  return unsent > 0 && ackedMsAgo < TAKES_MS;
}

/** The other side owes an answer, or may. */
function isAsked({ unsent, sentMsAgo, receivedMsAgo, sentSegments }: Connection, isEtcd: boolean): boolean {
  const isNew = !isEtcd && sentSegments <= FEW_SEGMENTS && sentMsAgo - receivedMsAgo < TICKETS_MS;
  return (unsent > 0 || sentMsAgo < receivedMsAgo || isNew) && sentMsAgo < (isEtcd ? ETCD_MS : BOUND_MS);
}
