/** What a listener lets its callers take of memory, places and time. */

/** Limits of one listener. Times are spans in which the listener could have answered: what a busy process sleeps through does not count. */
export interface ListenerLimits {
  /** Greatest message of a request, in bytes. */
  messageBytes: number;
  /** Another bound for single methods, by their path: "/kubemtls.v1.AgentService/Session". */
  messageBytesOf: Readonly<Record<string, number>>;
  /** Bytes of memory that unfinished and unanswered requests may hold together; beyond, who holds most is closed. */
  heldBytes: number;
  /** Calls at once on one connection. */
  streams: number;
  /** Connections at once whose TLS handshake is done. */
  connections: number;
  /** Of these, from one address (an IPv6 /64 is one). */
  connectionsPerAddress: number;
  /** Connections at once whose handshake is not done; the oldest of whoever has most give way. */
  halfOpen: number;
  /** Of these, from one address. */
  halfOpenPerAddress: number;
  /** From the connection to the end of the handshake, in milliseconds. */
  handshakeMs: number;
  /** From the handshake to the first request that is complete, in milliseconds. */
  firstCallMs: number;
  /** From the headers of a request to its end, and in a stream from the first byte of a message to its last; in milliseconds. */
  requestMs: number;
  /** Greatest age of a connection in milliseconds, give or take a tenth; undefined: any. */
  ageMs: number | undefined;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** What holds where nothing else is said. */
export const defaultLimits: ListenerLimits = {
  messageBytes: MIB,
  messageBytesOf: {},
  heldBytes: 128 * MIB,
  streams: 100,
  connections: 4096,
  connectionsPerAddress: 1024,
  halfOpen: 1024,
  halfOpenPerAddress: 256,
  handshakeMs: 3_000,
  firstCallMs: 60_000,
  requestMs: 10_000,
  ageMs: undefined,
};

/** The greatest message that any method takes, in bytes. */
export function greatestMessageBytes({ messageBytes, messageBytesOf }: ListenerLimits): number {
  return Math.max(messageBytes, ...Object.values(messageBytesOf));
}
