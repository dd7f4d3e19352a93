/** Callers that speak HTTP/2 as they please, for tests and benches of what a listener bears. */
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Credentials } from './server-fixture.ts';

/** Who calls whom. */
export interface Dial {
  /** Of the listener, on 127.0.0.1. */
  port: number;
  /** Own address: the whole of 127.0.0.0/8 is this machine's, so that each stands for another stranger. Default 127.0.0.1. */
  from?: string;
  credentials?: Credentials | undefined;
}

/** How a request ended for its caller. */
export interface Ending {
  /** grpc-status; undefined when none came. */
  code: number | undefined;
  /** grpc-message. */
  text: string;
}

/** A TCP connection on which nothing is said; its errors are nobody's. */
export function silentSocket({ port, from = '127.0.0.1' }: Dial): Socket {
  const socket = connectTcp({ port, host: '127.0.0.1', localAddress: from });
  socket.on('error', () => {});
  return socket;
}

/** A TLS connection, on which HTTP/2 may begin; its errors are nobody's. */
export function strangerTls(dial: Dial): TLSSocket {
  const { credentials } = dial;
  const socket = connectTls({
    socket: silentSocket(dial),
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
    ...(credentials === undefined ? {} : { cert: credentials.certPem, key: credentials.keyPem }),
  });
  socket.on('error', () => {});
  return socket;
}

/** An HTTP/2 connection. Resolves when the server's settings are there; rejects when it is closed before. */
export async function strangerSession(dial: Dial): Promise<ClientHttp2Session> {
  const socket = strangerTls(dial);
  const session = connect('https://127.0.0.1', { createConnection: () => socket });
  session.on('error', () => {}); // a connection that the server closes is what is expected
  const closed = once(session, 'close').then(() => Promise.reject(new Error('closed before HTTP/2 began')));
  closed.catch(() => {});
  await Promise.race([once(session, 'remoteSettings'), closed]);
  return session;
}

/** Begins a gRPC call; nothing of its message is sent. */
export function beginCall(
  session: ClientHttp2Session,
  path: string,
  headers: Record<string, string> = {},
): ClientHttp2Stream {
  const stream = session.request(
    { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers },
    { endStream: false },
  );
  stream.on('error', () => {});
  return stream;
}

/** A message as gRPC frames it; `declared` may be another length than it has. */
export function framed(message: Uint8Array, declared = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(declared, 1);
  return Buffer.concat([prefix, message]);
}

/** Waits for the end of a call, and for its status if there is one. */
export async function endOf(stream: ClientHttp2Stream): Promise<Ending> {
  const ending: Ending = { code: undefined, text: '' };
  const note = (headers: Record<string, unknown>) => {
    if (headers['grpc-status'] === undefined) return;
    ending.code = Number(headers['grpc-status']);
    ending.text = decodeURIComponent(String(headers['grpc-message'] ?? ''));
  };
  stream.on('response', note).on('trailers', note);
  stream.resume();
  if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
  return ending;
}

/** Calls a unary method with the bytes of a message. */
export function callWith(
  session: ClientHttp2Session,
  path: string,
  message: Uint8Array,
  headers = {},
): Promise<Ending> {
  const stream = beginCall(session, path, headers);
  stream.end(framed(message));
  return endOf(stream);
}

/** What opens HTTP/2, makes one call with an empty message, and says goodbye, as bytes. */
export function callAndGoodbye(path: string): Buffer {
  const headers = {
    ':method': 'POST',
    ':scheme': 'https',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  const block = Object.entries(headers).flatMap(([name, value]) => [
    Buffer.from([0, name.length]), // literal, not indexed, no Huffman code (RFC 7541 6.2.2)
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
  const frames = [
    frame(4, 0, 0, Buffer.alloc(0)), // SETTINGS
    frame(1, 4, 1, Buffer.concat(block)), // HEADERS, all of them
    frame(0, 1, 1, framed(Buffer.alloc(0))), // DATA, the last
    frame(7, 0, 0, Buffer.alloc(8)), // GOAWAY
  ];
  return Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), ...frames]);
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
