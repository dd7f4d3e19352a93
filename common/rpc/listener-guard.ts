/** Stands at the door of a listener: who may connect, how long a handshake and a request may take, what all of it may hold. */
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import type { Log } from '../log/log.ts';
import { addressKey } from './address-key.ts';
import { ConnectionTable } from './connection-table.ts';
import { GuardedRequest } from './guarded-request.ts';
import type { ListenerLimits } from './listener-limits.ts';

/** The part of node:http2's Http2SecureServer that is of use here. */
export interface GuardedServer {
  prependListener(event: 'connection', listener: (socket: Socket) => void): unknown;
  prependListener(event: 'session', listener: (session: ServerHttp2Session) => void): unknown;
  prependListener(
    event: 'stream',
    listener: (stream: ServerHttp2Stream, headers: Readonly<Record<string, unknown>>) => void,
  ): unknown;
}

/**
 * A connection. States: handshake (until HTTP/2 can begin), silent (until the first request is complete), served, closing (HTTP/2 is
 * over, the socket not yet).
 */
interface Peer {
  socket: Socket;
  /** Without port. */
  address: string;
  state: 'handshake' | 'silent' | 'served' | 'closing';
  /** From the handshake on. */
  session: ServerHttp2Session | undefined;
  /** Turns in this state. */
  turns: number;
  requests: Set<GuardedRequest>;
  heldBytes: number;
}

/** So many turns make the shortest time of the limits. */
const TURNS = 10;
const MOST_TURN_MS = 500;
/** Closed connections are told of once in this time: a line for each would be an attack on the log. */
const TELL_MS = 60_000;

/** The guard of one listener. */
export class ListenerGuard {
  readonly #limits: ListenerLimits;
  readonly #log: Log;
  readonly #turnMs: number;
  #timer: NodeJS.Timeout | undefined;
  /** By both ends of the connection: the raw socket, which is closed, and HTTP/2's view of it have nothing else in common. */
  readonly #peers = new Map<string, Peer>();
  readonly #table: ConnectionTable<Peer>;
  readonly #sessions = new WeakMap<object, Peer>();
  #heldBytes = 0;
  /** The stream that grpc-js hears of next. */
  #opening: GuardedRequest | undefined;
  #closed = { count: 0, address: '', detail: '' };
  #turnsSinceTold = Number.POSITIVE_INFINITY;

  constructor(limits: ListenerLimits, log: Log) {
    this.#limits = limits;
    this.#log = log;
    this.#table = new ConnectionTable(limits);
    const shortestMs = Math.min(limits.handshakeMs, limits.firstCallMs, limits.requestMs);
    this.#turnMs = Math.min(MOST_TURN_MS, Math.ceil(shortestMs / TURNS));
  }

  /** For grpc-js, which makes the call of a stream within the event of that stream. */
  readonly interceptor: ServerInterceptor = (method, call) => {
    this.#opening?.belongsTo(call, method.requestStream);
    this.#opening = undefined;
    return new ServerInterceptingCall(call);
  };

  /** Guards a server from now on; it must be before anybody connects. */
  watch(server: GuardedServer): void {
    server.prependListener('connection', (socket) => this.#arrive(socket));
    server.prependListener('session', (session) => this.#open(session));
    server.prependListener('stream', (stream, headers) => this.#begin(stream, String(headers[':path'])));
    // turns are counted, not time: after a pause of the whole process nobody is late who could not be heard
    this.#timer ??= setInterval(() => this.#turn(), this.#turnMs).unref();
  }

  /** Connections that there are, and bytes that requests hold. */
  get counts(): { halfOpen: number; open: number; heldBytes: number } {
    return { ...this.#table.counts, heldBytes: this.#heldBytes };
  }

  /** Closes what is still there. */
  stop(): void {
    clearInterval(this.#timer);
    for (const peer of this.#peers.values()) peer.socket.destroy();
  }

  #arrive(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    const requests = new Set<GuardedRequest>();
    const peer: Peer = { socket, address, state: 'handshake', session: undefined, turns: 0, requests, heldBytes: 0 };
    const ends = endsOf(socket);
    this.#peers.set(ends, peer);
    socket.once('close', () => {
      if (this.#peers.get(ends) === peer) this.#peers.delete(ends);
      this.#table.leave(peer);
    });
    const toClose = this.#table.arrive(peer, addressKey(address));
    for (const other of toClose) this.#close(other, 'too many connections');
  }

  #open(session: ServerHttp2Session): void {
    const peer = this.#peers.get(endsOf(session.socket));
    if (peer === undefined) {
      session.destroy(); // its socket is gone already
      return;
    }
    this.#sessions.set(session, peer);
    peer.session = session;
    enter(peer, 'silent');
    for (const other of this.#table.open(peer, addressKey(peer.address))) this.#close(other, 'too many connections');
  }

  #begin(stream: ServerHttp2Stream, path: string): void {
    this.#opening = undefined;
    const peer = stream.session === undefined ? undefined : this.#sessions.get(stream.session);
    if (peer === undefined) {
      stream.destroy();
      return;
    }
    const { messageBytes, messageBytesOf } = this.#limits;
    const limitBytes = Object.hasOwn(messageBytesOf, path) ? messageBytesOf[path] : undefined;
    const request = new GuardedRequest(stream, limitBytes ?? messageBytes, {
      held: (bytes) => this.#hold(peer, bytes),
      complete: () => {
        if (peer.state === 'silent') enter(peer, 'served');
      },
      over: (it) => peer.requests.delete(it),
    });
    peer.requests.add(request);
    this.#opening = request;
  }

  #hold(peer: Peer, bytes: number): void {
    peer.heldBytes += bytes;
    this.#heldBytes += bytes;
    if (bytes <= 0 || this.#heldBytes <= this.#limits.heldBytes) return;
    let greatest = peer;
    for (const other of this.#peers.values()) if (other.heldBytes > greatest.heldBytes) greatest = other;
    this.#close(greatest, 'unfinished requests hold too much memory');
  }

  #turn(): void {
    const { handshakeMs, firstCallMs, requestMs } = this.#limits;
    for (const peer of this.#peers.values()) {
      // it tells of its end only after the socket's, for which a caller may let it wait for ever
      if (peer.session?.destroyed === true && peer.state !== 'closing') enter(peer, 'closing');
      const waitedMs = peer.turns++ * this.#turnMs;
      if (peer.state === 'handshake' && waitedMs >= handshakeMs) this.#close(peer, 'the handshake took too long');
      if (peer.state === 'silent' && waitedMs >= firstCallMs) this.#close(peer, 'no request came');
      if (peer.state === 'closing' && waitedMs >= handshakeMs) peer.socket.destroy();
      for (const request of peer.requests) request.turn(requestMs / this.#turnMs);
    }
    this.#tell();
  }

  #close(peer: Peer, detail: string): void {
    this.#log.debug('connection closed', { address: peer.address, detail });
    this.#closed = { count: this.#closed.count + 1, address: peer.address, detail };
    peer.socket.destroy();
    this.#table.leave(peer); // at once: its place may be needed before the socket tells
  }

  #tell(): void {
    this.#turnsSinceTold++;
    if (this.#closed.count === 0 || this.#turnsSinceTold * this.#turnMs < TELL_MS) return;
    this.#log.warn('connections were closed that took too much; the last one is named', this.#closed);
    this.#closed = { count: 0, address: '', detail: '' };
    this.#turnsSinceTold = 0;
  }
}

function enter(peer: Peer, state: Peer['state']): void {
  peer.state = state;
  peer.turns = 0;
}

function endsOf({
  remoteAddress,
  remotePort,
  localAddress,
}: Pick<Socket, 'remoteAddress' | 'remotePort' | 'localAddress'>): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
