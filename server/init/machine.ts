/** This machine: how it is called and at which addresses others may reach it. */
import { hostname, type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { AppError } from '../../common/errors/app-error.ts';
import { canonicalIp } from '../../common/x509/ip-address.ts';
import { endpointHost, parseHost } from '../config/endpoints.ts';

/** What is known of the machine. */
export interface Machine {
  /** Lower case; "localhost" when its name is none that a certificate can carry. */
  hostname: string;
  /** Canonical; neither loopback nor link-local, IPv4 first. */
  addresses: readonly string[];
}

/** The hosts at which nodes reach the server, and why those when nobody named any. */
export interface AdvertiseChoice {
  hosts: [string, ...string[]];
  /** Undefined when the operator named them. */
  why: string | undefined;
}

/** The machine that this runs on, as it is now. */
export function thisMachine(): Machine {
  return machineOf(hostname(), networkInterfaces());
}

/** A machine from what the system says of it. */
export function machineOf(name: string, interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): Machine {
  const all = Object.values(interfaces).flatMap((list) => list ?? []);
  const usable = all.filter(({ internal, address }) => !internal && !/^(fe[89ab]|169\.254\.)/i.test(address));
  const addressesOf = (family: string) =>
    usable.filter((each) => each.family === family).flatMap(({ address }) => canonicalIp(address) ?? []);
  return { hostname: hostOr(name, 'localhost'), addresses: [...addressesOf('IPv4'), ...addressesOf('IPv6')] };
}

/**
 * The hosts that the operator named, else the API endpoint's when it is an address of this machine, else its first address.
 *
 * @throws AppError invalid-request for a malformed endpoint, or when there is no address to choose
 */
export function chooseAdvertise(named: readonly string[], apiEndpoint: string, machine: Machine): AdvertiseChoice {
  const [first, ...others] = new Set(named);
  if (first !== undefined) return { hosts: [first, ...others], why: undefined };
  const endpoint = endpointHost(apiEndpoint);
  if (machine.addresses.includes(endpoint)) {
    return { hosts: [endpoint], why: 'the address of the API endpoint, which this machine has' };
  }
  const [address] = machine.addresses;
  if (address === undefined) {
    throw new AppError(
      'invalid-request',
      'this machine has no address that other nodes could reach: name one with --advertise',
    );
  }
  return { hosts: [address], why: 'the first address of this machine' };
}

function hostOr(name: string, otherwise: string): string {
  try {
    return parseHost(name);
  } catch {
    return otherwise; // the kernel takes any text for a name
  }
}
