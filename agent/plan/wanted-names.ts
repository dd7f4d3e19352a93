/** The names that a serving certificate needs on this node. The server issues what it allows and refuses the rest by name. */
import { canonicalIp } from '../../common/x509/ip-address.ts';
import type { DetectedApiserver, DetectedKubelet } from '../detect/detected.ts';
import { hostAndPort, splitUrls } from './etcd-urls.ts';
import type { OtherMembers } from './other-members.ts';
import type { ServedCertificate } from './served-certificate.ts';
import type { ServedNow } from './served-now.ts';
import type { NodeSettings } from './settings.ts';

/** Names of a certificate. */
export interface Names {
  /** Lower case, sorted. */
  dnsNames: string[];
  /** Canonical, sorted. */
  ipAddresses: string[];
  /** Names of the certificate in use that the new one does not hold, since none of ours holds such names. */
  notHeld?: readonly string[];
}

/** Names of a certificate, and those of the one in use that are somebody else's. */
export interface EtcdNames extends Names {
  leftOut?: readonly string[];
}

/**
 * Names for the server or the peer certificate of an etcd member, with the hosts of its own URLs for that side: clients and
 * peers compare them. Clusters whose members share one certificate have the names of all of them in it: those of others are
 * left out, since a member that had them could pose as another.
 */
export function etcdNames(
  urlLists: readonly string[],
  settings: NodeSettings,
  served: Names,
  others: OtherMembers,
): EtcdNames {
  const hosts = urlLists.flatMap(splitUrls).flatMap((url) => hostAndPort(url)?.host ?? []);
  // who listens on all addresses of IPv6 is reached at its loopback too
  const loopback = hosts.includes('::') ? ['::1'] : [];
  const own = ['localhost', '127.0.0.1', ...loopback, settings.nodeName, ...settings.addresses, ...hosts];
  const isForeign = (name: string) => others.hosts.has(name) || others.names.has(name);
  const names = gather(own, {
    dnsNames: served.dnsNames.filter((name) => !isForeign(name)),
    ipAddresses: served.ipAddresses.filter((address) => !isForeign(address)),
    notHeld: served.notHeld ?? [],
  });
  const leftOut = [...served.dnsNames, ...served.ipAddresses].filter(isForeign);
  return leftOut.length === 0 ? names : { ...names, leftOut };
}

/** Names for the API server (kubeadm's, and localhost for those on the node itself). */
export function apiserverNames(apiserver: DetectedApiserver, settings: NodeSettings, served: Names): Names {
  const { cluster } = settings;
  const service = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  const endpoint = hostAndPort(`https://${cluster.apiEndpoint}`)?.host;
  const given = ['advertise-address', 'bind-address'].flatMap((flag) => apiserver.flags.get(flag)?.at(-1) ?? []);
  return gather(
    [
      ...[settings.nodeName, 'localhost', '127.0.0.1', ...settings.addresses, cluster.serviceAddress],
      ...[...service, `kubernetes.default.svc.${cluster.dnsDomain}`, endpoint ?? '', ...given],
    ],
    served,
  );
}

/** Names for a kubelet: those under which the API server dials it, and loopback where it had that. */
export function kubeletNames(kubelet: DetectedKubelet, settings: NodeSettings, served: Names): Names {
  const nodeIps = (kubelet.flags.get('node-ip') ?? []).flatMap((list) => list.split(','));
  const loopback = served.ipAddresses.filter((address) => address === '127.0.0.1');
  return ownNames([settings.nodeName, ...settings.addresses, ...nodeIps, ...loopback], served);
}

/** Names for a controller manager or a scheduler: their callers are on the node itself, or reach it by its addresses. */
export function managerNames({ nodeName, addresses }: NodeSettings, served: Names): Names {
  return ownNames([nodeName, 'localhost', '127.0.0.1', '::1', ...addresses], served);
}

/** These names and no other: the server gives no node the names of another. What is served besides is told. */
function ownNames(hosts: readonly string[], served: Names): Names {
  const own = gather(hosts, noNames);
  const all = gather([], served);
  const held = new Set([...own.dnsNames, ...own.ipAddresses]);
  const lost = [...all.dnsNames, ...all.ipAddresses].filter((name) => !held.has(name));
  return withNotHeld(own, [...lost, ...(all.notHeld ?? [])]);
}

/** The names of the certificate that a component serves now, so that no client loses one. */
export function servedNames({ certificate }: Pick<ServedNow, 'certificate'>): Names {
  return certificate === undefined ? noNames : namesOf(certificate);
}

/** The names of a certificate of somebody else. */
export function namesOf({ dnsNames, ipAddresses, otherNames }: ServedCertificate): Names {
  return withNotHeld({ dnsNames, ipAddresses }, otherNames);
}

/** The names of several certificates. */
export function joinNames(all: readonly Names[]): Names {
  const names = {
    dnsNames: all.flatMap(({ dnsNames }) => dnsNames),
    ipAddresses: all.flatMap(({ ipAddresses }) => ipAddresses),
  };
  return withNotHeld(
    names,
    all.flatMap(({ notHeld }) => notHeld ?? []),
  );
}

/** For certificates of clients. */
export const noNames: Names = { dnsNames: [], ipAddresses: [] };

/** Sorts names by kind; addresses that stand for all interfaces are nobody's name. */
function gather(hosts: readonly string[], served: Names): Names {
  // a dot at the end means the same to a resolver, and clients leave it out when they compare names (RFC 6125, 6.4.1)
  const names = [...hosts, ...served.dnsNames, ...served.ipAddresses].map((name) =>
    name.trim().toLowerCase().replace(/\.$/, ''),
  );
  const unspecified = new Set(['0.0.0.0', '::', '']);
  const addresses = names.flatMap((name) => canonicalIp(name) ?? []).filter((address) => !unspecified.has(address));
  const dns = names.filter((name) => canonicalIp(name) === undefined && name !== '');
  return withNotHeld({ dnsNames: unique(dns), ipAddresses: unique(addresses) }, served.notHeld ?? []);
}

function withNotHeld({ dnsNames, ipAddresses }: Names, notHeld: readonly string[]): Names {
  return { dnsNames, ipAddresses, ...(notHeld.length === 0 ? {} : { notHeld: unique(notHeld) }) };
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
