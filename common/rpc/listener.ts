/** A gRPC server on one address: TLS, limits, and an orderly end. */
import { Server } from '@grpc/grpc-js';
import { AppError, messageOf } from '../errors/app-error.ts';
import type { Log } from '../log/log.ts';
import { type GuardedServer, ListenerGuard } from './listener-guard.ts';
import { defaultLimits, greatestMessageBytes, type ListenerLimits } from './listener-limits.ts';
import { ReloadableCredentials, type TlsMaterial } from './server-credentials.ts';

/** What a listener needs. */
export interface ListenerOptions {
  /** IP address or name to listen on. */
  host: string;
  /** TCP port; 0 takes any free one. */
  port: number;
  tls: TlsMaterial;
  log: Log;
  /** What callers may take. Default: see defaultLimits. */
  limits?: ListenerLimits;
  /** Registers the services. */
  register: (server: Server) => void;
}

/** A listener that answers. */
export interface Listener {
  /** The port it has. */
  port: number;
  /** New connections get these certificates. */
  reload(tls: TlsMaterial): void;
  /** Takes no new calls, waits for those under way, and after the grace (default 10 000 ms) ends them. */
  stop(graceMs?: number): Promise<void>;
}

/** Time for calls under way when a connection has come to its greatest age. */
const AGE_GRACE_MS = 10_000;

/**
 * Starts to listen.
 *
 * @throws AppError 'unavailable' when the address cannot be had
 */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const limits = options.limits ?? defaultLimits;
  const guard = new ListenerGuard(limits, options.log);
  const server = new Server({
    interceptors: [guard.interceptor],
    'grpc.max_receive_message_length': greatestMessageBytes(limits),
    'grpc.max_concurrent_streams': limits.streams,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.enable_channelz': 0,
    'grpc-node.max_session_memory': 64, // MiB a connection, of nghttp2 alone: what messages take, the guard counts
    ...(limits.ageMs === undefined
      ? {}
      : { 'grpc.max_connection_age_ms': limits.ageMs, 'grpc.max_connection_age_grace_ms': AGE_GRACE_MS }),
  });
  options.register(server);
  const credentials = new ReloadableCredentials(options.tls);
  const port = await bind(server, options, credentials);
  for (const http2 of http2ServersOf(server)) {
    guard.watch(http2);
    logFailedHandshakes(http2, options.log);
  }
  return {
    port,
    reload: (tls) => credentials.reload(tls),
    stop: (graceMs = 10_000) => stop(server, guard, graceMs),
  };
}

function bind(server: Server, options: ListenerOptions, credentials: ReloadableCredentials): Promise<number> {
  const address = `${options.host.includes(':') ? `[${options.host}]` : options.host}:${options.port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) return resolve(port);
      const text = `cannot listen on ${address}; is another server running there? ${messageOf(error)}`;
      reject(new AppError('unavailable', text, { cause: error }));
    });
  });
}

function stop(server: Server, guard: ListenerGuard, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      guard.stop(); // without channelz grpc-js has forgotten its sessions, and would wait for them
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      guard.stop();
      resolve();
    });
  });
}

/** The part of node:http2's Http2SecureServer that is of use here. */
interface TlsServer extends GuardedServer {
  on(event: 'tlsClientError', listener: (error: Error, socket: { remoteAddress?: string }) => void): unknown;
}

/** grpc-js has no public way to its node:http2 servers, and only they tell of connections. None found would be a listener without limits. */
function http2ServersOf(server: Server): TlsServer[] {
  const servers: unknown = Reflect.get(server, 'http2Servers');
  const found = servers instanceof Map ? [...(servers as Map<TlsServer, unknown>).keys()] : []; // keys: Http2SecureServer
  if (found.length === 0) throw new TypeError('this grpc-js hides its servers: no limit can be kept');
  return found;
}

function logFailedHandshakes(http2: TlsServer, log: Log): void {
  http2.on('tlsClientError', (error, socket) => {
    const address = socket.remoteAddress ?? '';
    log.debug('tls handshake failed', { address, detail: messageOf(error) });
  });
}
