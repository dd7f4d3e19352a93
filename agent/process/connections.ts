/** The TCP connections of this host as iproute2's ss tells them: when a byte last moved on one stands nowhere in /proc. */
import { AppError } from '../../common/errors/app-error.ts';
import type { RunCommand } from '../../common/run/command.ts';

/** One end of a connection. */
export interface Connection {
  /** Identifier of the socket. */
  inode: string;
  /** "10.0.0.1:6443", "[::1]:6443"; an IPv4 address that is mapped into IPv6 is written as IPv4. */
  local: string;
  peer: string;
  localPort: number;
  peerPort: number;
  /** Bytes that came and that the process has not read. */
  unread: number;
  /** Bytes that the process wrote and that the other side has not acknowledged. */
  unsent: number;
  /** How long ago the last byte was sent, the last one came, and the other side last acknowledged something; milliseconds. */
  sentMsAgo: number;
  receivedMsAgo: number;
  ackedMsAgo: number;
  /** How many segments with bytes were sent since it was made. */
  sentSegments: number;
}

/**
 * Lists the connections of this network namespace.
 *
 * @returns undefined where that is not known: there is no ss, or the kernel does not tell it ages (module tcp_diag)
 * @throws AbortError or AppError 'unavailable' when the signal fires
 */
export async function showConnections(run: RunCommand, signal?: AbortSignal): Promise<Connection[] | undefined> {
  try {
    const result = await run(['ss', '-tinHe'], { timeoutMs: 5000, ...(signal === undefined ? {} : { signal }) });
    if (result.code !== 0) return undefined;
    const sockets = joinLines(result.stdout);
    const found = sockets.flatMap((line) => parseConnection(line) ?? []);
    return sockets.length > 0 && found.length === 0 ? undefined : found;
  } catch (error) {
    const failure = AppError.from(error);
    if (failure.reason === 'not-found' || failure.reason === 'deadline') return undefined;
    throw failure;
  }
}

/** What is told of a socket continues on lines that begin with a blank. */
function joinLines(text: string): string[] {
  return text
    .replaceAll(/\n\s+/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
}

/** Undefined for one of which ss knows no ages, as one that both sides have closed already. */
function parseConnection(line: string): Connection | undefined {
  const [, unread, unsent, local = '', peer = ''] = line.trim().split(/\s+/);
  const inode = /\bino:([0-9]+)/.exec(line)?.[1];
  if (inode === undefined || !/\brto:/.test(line)) return undefined;
  // a value of 0 is not printed
  const value = (name: string) => Number(new RegExp(`\\b${name}:([0-9]+)`).exec(line)?.[1] ?? 0);
  return {
    inode,
    local: withoutMapping(local),
    peer: withoutMapping(peer),
    localPort: portOf(local),
    peerPort: portOf(peer),
    unread: Number(unread),
    unsent: Number(unsent),
    sentMsAgo: value('lastsnd'),
    receivedMsAgo: value('lastrcv'),
    ackedMsAgo: value('lastack'),
    sentSegments: value('data_segs_out'),
  };
}

function portOf(address: string): number {
  return Number(address.split(':').at(-1));
}

function withoutMapping(address: string): string {
  return address.replace(/^\[::ffff:([0-9.]+)\]/, '$1');
}
