/** Networks in CIDR notation, and whether an address lies in one. */
import { BlockList, isIPv6 } from 'node:net';
import { AppError } from '../../common/errors/app-error.ts';
import { canonicalIp } from '../../common/x509/ip-address.ts';

/** Addresses that say nothing about where a node is: unspecified, loopback, link-local, multicast and broadcast. */
const nowhere = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3', '::/127', 'fe80::/10', 'ff00::/8'];

/**
 * The network in canonical form.
 *
 * @throws AppError invalid-request
 */
export function parseNetwork(text: string): string {
  const [addressText = '', prefixText = '', ...more] = text.split('/');
  const address = canonicalIp(addressText);
  const bits = address !== undefined && isIPv6(address) ? 128 : 32;
  const prefix = Number(prefixText);
  if (address === undefined || more.length > 0 || !/^\d{1,3}$/.test(prefixText) || prefix > bits) {
    const shown = JSON.stringify(text.slice(0, 60));
    throw new AppError(
      'invalid-request',
      `${shown} is not a network: write ADDRESS/PREFIX, as 10.0.0.0/24 or fd00::/64`,
    );
  }
  return `${address}/${prefix}`;
}

/** True when one of the networks (in the form of parseNetwork) holds the address; IPv4 in IPv6 counts as IPv4. */
export function isInNetworks(addressText: string, networks: readonly string[]): boolean {
  const address = canonicalIp(addressText);
  if (address === undefined) return false;
  const list = new BlockList();
  const family = familyOf(address);
  for (const network of networks) {
    const [base = '', prefix] = network.split('/');
    // BlockList itself takes every IPv4 address for one of ::ffff:0:0/96, and so ::/0 for all of IPv4
    if (familyOf(base) === family) list.addSubnet(base, Number(prefix), family);
  }
  return list.check(address, family);
}

/** True for an address at which a node can be reached by others. */
export function isReachableAddress(address: string): boolean {
  return canonicalIp(address) !== undefined && !isInNetworks(address, nowhere);
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}
