/** At which of its addresses a component may not be alone: what is met there may come from another server. */
import { lookup } from 'node:dns/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Component } from '../../common/names/names.ts';
import { canonicalIp } from '../../common/x509/ip-address.ts';
import { endpointHost } from '../config/endpoints.ts';
import type { NodeRecord } from '../store/store.ts';

/** Addresses of a name; none when it has none, or nobody tells. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** What is known of the cluster. */
export interface Surroundings {
  /** HOST:PORT of the cluster's API. */
  apiEndpoint: string;
  /** Every node of the fleet. */
  nodes: readonly NodeRecord[];
  resolve: Resolve;
}

/**
 * Those of the endpoints at which another server may answer. For an API server that is the endpoint of the cluster, every address
 * that its name stands for, and the host of it at every other port too: behind it may be a load balancer, and an address that
 * keepalived or kube-vip move belongs to the node that holds it now. For every component it is an address that another node has too.
 *
 * @param node name of the node whose component it is
 * @param endpoints HOST:PORT, each of them valid
 */
export async function sharedEndpoints(
  node: string,
  component: Component,
  endpoints: readonly string[],
  { apiEndpoint, nodes, resolve }: Surroundings,
): Promise<string[]> {
  const elsewhere = nodes.filter(({ name, revoked }) => name !== node && !revoked);
  const shared = new Set(elsewhere.flatMap(({ name, addresses }) => [name, ...addresses]));
  if (component === 'kube-apiserver') {
    const host = endpointHost(apiEndpoint);
    shared.add(host);
    if (canonicalIp(host) === undefined)
      for (const address of await resolve(host)) shared.add(canonicalIp(address) ?? '');
  }
  return endpoints.filter((endpoint) => shared.has(endpointHost(endpoint)));
}

/** How long the system may take to tell the addresses of a name, in milliseconds. */
const RESOLVE_MS = 2000;

/** As this host knows the name, by /etc/hosts too. */
export async function resolveHere(name: string): Promise<readonly string[]> {
  const timer = new AbortController();
  const late = delay(RESOLVE_MS, [], { signal: timer.signal, ref: false });
  try {
    return await Promise.race([lookup(name, { all: true }).then((found) => found.map(({ address }) => address)), late]);
  } catch {
    return []; // a name that leads nowhere stands for no address
  } finally {
    timer.abort();
    late.catch(() => {}); // it was stopped
  }
}
