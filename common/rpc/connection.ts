/** A TLS connection to a kube-mtls server, over which clients of several services may speak. */
import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext, type SecureContext } from 'node:tls';
import { Client, credentials } from '@grpc/grpc-js';
import { AppError, messageOf } from '../errors/app-error.ts';

/** Where the server is and how both sides prove who they are. */
export interface Transport {
  /** HOST:PORT; IPv6 in brackets. */
  address: string;
  /** PEM certificates that the server's chain has to end in; no others are trusted. */
  rootsPem: string;
  /** Client certificate, PEM, leaf first; absent on the bootstrap listener. */
  certPem?: string;
  /** Its private key, PEM, unencrypted. */
  keyPem?: string;
  /** The name that the server's certificate must hold; default the host of the address. */
  serverName?: string;
}

/** A connection; it connects with the first call and again after it broke. */
export interface Connection {
  /** What clients call through. */
  readonly grpc: Client;
  /** Ends of the calls under way: grpc-js itself lets them go on when its client is closed. */
  readonly calls: Set<() => void>;
  /** Ends all calls. */
  close(): void;
}

/** Answers hold pages of up to 1000 rows. */
const MAX_RECEIVE_BYTES = 16 * 1024 * 1024;

/** RFC 6066 allows no addresses in the server name indication, and Node warns; what is verified is the address all the same. */
const SNI_FOR_ADDRESSES = 'kube-mtls-server';

/**
 * Makes a connection. Nothing is sent before the first call.
 *
 * @throws AppError 'unauthenticated' when roots, certificate or key cannot be used, or do not match
 */
export function openConnection(transport: Transport): Connection {
  const name = transport.serverName ?? hostOf(transport.address);
  const tls = credentials.createFromSecureContext(secureContext(transport), {
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  });
  const grpc = new Client(`dns:${transport.address}`, tls, {
    'grpc.max_receive_message_length': MAX_RECEIVE_BYTES,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.initial_reconnect_backoff_ms': 500,
    'grpc.max_reconnect_backoff_ms': 15_000,
    'grpc.use_local_subchannel_pool': 1, // a renewed certificate must never share a connection with the old one
    'grpc.enable_retries': 0, // requests that sign are repeated by their callers, knowingly
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1, // no TXT look-ups
    'grpc.ssl_target_name_override': isIP(name) === 0 ? name : SNI_FOR_ADDRESSES,
  });
  const calls = new Set<() => void>();
  return {
    grpc,
    calls,
    close() {
      for (const end of calls) end();
      grpc.close();
    },
  };
}

function secureContext(transport: Transport): SecureContext {
  try {
    return createSecureContext({
      ca: transport.rootsPem,
      minVersion: 'TLSv1.2',
      ...(transport.certPem === undefined ? {} : { cert: transport.certPem }),
      ...(transport.keyPem === undefined ? {} : { key: transport.keyPem }),
    });
  } catch (error) {
    const text = `the roots, certificate and key for ${transport.address} cannot be used together: ${messageOf(error)}`;
    throw new AppError('unauthenticated', text, { cause: error });
  }
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}
