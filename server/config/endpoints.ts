/** Hosts, ports and networks as the configuration writes them. */
import { AppError } from '../../common/errors/app-error.ts';
import { checkedDns } from '../../common/x509/alternative-names.ts';
import { canonicalIp, ipFromBytes, ipToBytes } from '../../common/x509/ip-address.ts';

/** Where something listens or is reached. */
export interface Endpoint {
  /** DNS name in lower case, or canonical IP address without brackets. */
  host: string;
  port: number;
}

/** DNS names and addresses, apart. */
export interface Names {
  dnsNames: string[];
  ipAddresses: string[];
}

/** Reads HOST:PORT, an IPv6 host in brackets. Throws AppError invalid-request. */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) {
    throw refusal(`${quoted(text)} is not HOST:PORT: write it as cp1:6443, 10.0.0.1:6443 or [fd00::1]:6443`);
  }
  return { host: parseHost(match[1] ?? match[2] ?? ''), port };
}

/** The host of HOST:PORT. Throws AppError invalid-request. */
export function endpointHost(text: string): string {
  return parseEndpoint(text).host;
}

/** The inverse of parseEndpoint. */
export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A DNS name in lower case or an IP address in canonical form. Throws AppError invalid-request for anything else. */
export function parseHost(text: string): string {
  const address = canonicalIp(text);
  if (address !== undefined) return address;
  // a mistyped address would pass as a DNS name
  if (/^[\d.]+$/.test(text)) throw refusal(`${quoted(text)} is not an IP address: check its numbers`);
  return checkedDns(text);
}

/** Sorts hosts into DNS names and addresses. */
export function namesOf(hosts: readonly string[]): Names {
  return {
    dnsNames: hosts.filter((host) => canonicalIp(host) === undefined),
    ipAddresses: hosts.flatMap((host) => canonicalIp(host) ?? []),
  };
}

/**
 * The first usable address of a network, which is the one of the service "kubernetes": 10.96.0.1 of 10.96.0.0/12.
 *
 * @throws AppError invalid-request when the text is not ADDRESS/PREFIX or the network has no second address
 */
export function firstAddressOf(cidr: string): string {
  const [address = '', prefixText = '', ...more] = cidr.split('/');
  const bytes = ipToBytes(address);
  const prefix = Number(prefixText);
  const bits = (bytes?.length ?? 0) * 8;
  if (bytes === undefined || more.length > 0 || !/^\d{1,3}$/.test(prefixText) || prefix > bits - 1) {
    throw refusal(`${quoted(cidr)} is not a network: write ADDRESS/PREFIX, as 10.96.0.0/12`);
  }
  const hostBits = BigInt(bits - prefix);
  const first = ((BigInt(`0x${bytes.toString('hex')}`) >> hostBits) << hostBits) + 1n;
  const text = ipFromBytes(Buffer.from(first.toString(16).padStart(bits / 4, '0'), 'hex'));
  if (text === undefined) throw refusal(`${quoted(cidr)} is not a network`);
  return text;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

function refusal(message: string): AppError {
  return new AppError('invalid-request', message);
}
