/**
 * One HTTP request on a connection of its own, and everything that can be learnt from it: who served, or who refused.
 * In TLS 1.3 the client's `secureConnect` comes before the server has judged the client's certificate, so only bytes of
 * an answer count as accepted (seen with Node 24 against Go servers).
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { hostPort } from './endpoints.ts';
import { type RefusedBy, refusalOf } from './probe-errors.ts';
import { describeServed, distrustOf, type Served, type ServerTrust, type UntrustedCause } from './server-trust.ts';

/** At most this much of an answer's body is read, in bytes. */
const MAX_BODY = 256 * 1024;

/** How to speak TLS. */
export interface ProbeTls {
  trust: ServerTrust;
  /** Client certificate, absent for a caller without one. */
  client?: ClientCredentials | undefined;
}

/** A client certificate and its key, both PEM. */
export interface ClientCredentials {
  certPem: string;
  keyPem: string;
}

/** What to ask. */
export interface ProbeRequest {
  /** Where to connect: an IP address or a name, without brackets. */
  host: string;
  port: number;
  /** Absent for plaintext. */
  tls: ProbeTls | undefined;
  method: 'GET' | 'POST';
  path: string;
  /** JSON text of a POST. */
  body?: string;
  /** For all of it: connection, handshake and answer. */
  timeoutMs: number;
  signal: AbortSignal;
  /** Told from which address we call ("127.0.0.1:43210"), before the other side hears anything. */
  onConnect?: (from: string) => void;
}

/** How it ended. Only an answer says that the client's certificate was accepted. */
export type ProbeOutcome =
  /** `served` is absent over plaintext. The body is cut after 256 KiB. */
  | { kind: 'answered'; status: number; body: string; served: Served | undefined }
  /** Somebody is there and ends the connection instead of answering. */
  | { kind: 'refused'; by: RefusedBy; detail: string; served: Served | undefined }
  /** We do not accept the server's certificate; nothing was sent to it. */
  | { kind: 'untrusted'; cause: UntrustedCause; detail: string; served: Served }
  /** Nobody listens, or nothing came in time. */
  | { kind: 'unreachable'; detail: string };

/** Asks once. */
export type Probe = (request: ProbeRequest) => Promise<ProbeOutcome>;

/**
 * Connects, shows the client certificate, sends the request, and waits for the answer.
 *
 * @throws AbortError when the signal fires
 * @throws AppError invalid-request when the PEM texts cannot be used
 */
export const probe: Probe = (request) =>
  new Promise((resolve, reject) => {
    request.signal.throwIfAborted();
    let served: Served | undefined;
    let stage = 'no connection';
    const socket = open(request);
    socket.once('connect', () => {
      request.onConnect?.(hostPort({ host: socket.localAddress ?? '', port: socket.localPort ?? 0 }));
      stage = 'no TLS handshake';
    });
    const end = (settle: () => void) => {
      clearTimeout(timer);
      request.signal.removeEventListener('abort', abort);
      socket.destroy();
      settle();
    };
    const finish = (outcome: ProbeOutcome) => end(() => resolve(outcome));
    const fail = (error: unknown) => finish(refusalOf(error, served));
    const abort = () => end(() => reject(new DOMException('the probe was stopped', 'AbortError')));
    const timer = setTimeout(() => {
      finish({ kind: 'unreachable', detail: `${stage} within ${request.timeoutMs} ms` });
    }, request.timeoutMs);
    request.signal.addEventListener('abort', abort, { once: true });

    const ask = () => {
      stage = 'no answer';
      sendRequest(request, socket).then(
        ({ status, body }) => finish({ kind: 'answered', status, body, served }),
        (error: unknown) => fail(error),
      );
    };
    socket.on('error', fail);
    if (request.tls === undefined) {
      socket.once('connect', ask);
      return;
    }
    const { trust } = request.tls;
    socket.once('secureConnect', () => {
      const secure = socket as TLSSocket; // open() made it with tls.connect, since there is request.tls
      const certificate = secure.getPeerX509Certificate();
      if (certificate === undefined) {
        fail(new Error('the server showed no certificate'));
        return;
      }
      served = describeServed(certificate, secure.getProtocol() ?? '');
      const distrust = distrustOf(trust, certificate, served, secure);
      if (distrust === undefined) ask();
      else finish({ kind: 'untrusted', ...distrust, served });
    });
  });

function open({ host, port, tls }: ProbeRequest): Socket {
  if (tls === undefined) return connectPlain({ host, port });
  const { trust, client } = tls;
  try {
    return connectTls({
      host,
      port,
      // Judged in distrustOf, after the served serial is known.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ca: [trust.kind === 'roots' ? trust.pem : ''], // a list, since Node takes an empty text for its own public roots
      allowPartialTrustChain: true, // as Go: any certificate of the bundle is an anchor, also an intermediate
      ...(trust.kind === 'roots' && isIP(trust.name) === 0 ? { servername: trust.name } : {}),
      ...(client === undefined ? {} : { cert: client.certPem, key: client.keyPem }),
    });
  } catch (error) {
    throw new AppError('invalid-request', `certificate, key or roots cannot be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function sendRequest(request: ProbeRequest, socket: Socket): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const { host, port, method, path, body } = request;
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const outgoing = httpRequest({ host, port, method, path, headers, createConnection: () => socket });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      readBody(response).then((text) => resolve({ status: response.statusCode ?? 0, body: text }), reject);
    });
    outgoing.end(body);
  });
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    const bytes = chunk as Buffer; // no encoding is set, so chunks are Buffers
    chunks.push(bytes.subarray(0, MAX_BODY - size));
    size += bytes.length;
    if (size >= MAX_BODY) break;
  }
  return Buffer.concat(chunks).toString();
}
