/** A gRPC server on one address: TLS, limits, and an orderly end. */
import { Server } from '@grpc/grpc-js';
import { AppError, messageOf } from '../errors/app-error.ts';
import type { Log } from '../log/log.ts';
import { ReloadableCredentials, type TlsMaterial } from './server-credentials.ts';

/** What a listener needs. */
export interface ListenerOptions {
  /** IP address or name to listen on. */
  host: string;
  /** TCP port; 0 takes any free one. */
  port: number;
  tls: TlsMaterial;
  log: Log;
  /** Connections at once; more are closed unread. Default 4096. */
  maxConnections?: number;
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

const MAX_RECEIVE_BYTES = 1024 * 1024;

/**
 * Starts to listen.
 *
 * @throws AppError 'unavailable' when the address cannot be had
 */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_RECEIVE_BYTES,
    'grpc.max_concurrent_streams': 100,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.enable_channelz': 0,
    'grpc-node.max_session_memory': 64, // MiB a connection
  });
  options.register(server);
  const credentials = new ReloadableCredentials(options.tls);
  const port = await bind(server, options, credentials);
  for (const http2 of http2ServersOf(server)) watch(http2, options);
  return {
    port,
    reload: (tls) => credentials.reload(tls),
    stop: (graceMs = 10_000) => stop(server, graceMs),
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

function stop(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The part of node:http2's Http2SecureServer that is of use here. */
interface TlsServer {
  maxConnections: number;
  on(event: 'tlsClientError', listener: (error: Error, socket: { remoteAddress?: string }) => void): unknown;
}

/** grpc-js has no public way to its node:http2 servers, and only they tell of failed handshakes. None found: no limit, no log. */
function http2ServersOf(server: Server): TlsServer[] {
  const servers: unknown = Reflect.get(server, 'http2Servers');
  return servers instanceof Map ? [...(servers as Map<TlsServer, unknown>).keys()] : []; // keys: Http2SecureServer
}

function watch(http2: TlsServer, options: ListenerOptions): void {
  http2.maxConnections = options.maxConnections ?? 4096;
  http2.on('tlsClientError', (error, socket) => {
    const address = socket.remoteAddress ?? '';
    options.log.debug('tls handshake failed', { address, detail: messageOf(error) });
  });
}
