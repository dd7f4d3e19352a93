/** Who counts as one caller: an IPv4 address, or an IPv6 network. */
import { ipToBytes } from '../x509/ip-address.ts';

/**
 * The key under which an address is counted: an IPv4 address (also one written as IPv6) stands for itself; an IPv6 host has a /64 to
 * itself and can come from any address in it. A text that is no address stands for itself.
 */
export function addressKey(address: string): string {
  const bytes = ipToBytes(address.replace(/%.*$/, '')); // the zone of a link-local address says where it was seen, not who it is
  if (bytes === undefined) return address;
  return bytes.length === 16 ? `${bytes.subarray(0, 8).toString('hex')}/64` : bytes.join('.');
}
