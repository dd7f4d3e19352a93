/** The members of an etcd cluster other than the local one: what is known to be somebody else's name or address. */
import { canonicalIp } from '../../common/x509/ip-address.ts';
import type { DetectedEtcd } from '../detect/detected.ts';
import { effectiveSetting, urlSettings } from './etcd-settings.ts';
import { hostAndPort, splitUrls } from './etcd-urls.ts';
import type { PlanInput } from './plan-input.ts';

/** What belongs to the other members; nothing in it is this member's too. */
export interface OtherMembers {
  /** Hosts in their URLs: names in lower case, addresses canonical. */
  hosts: ReadonlySet<string>;
  /** What they call themselves, in lower case; often the name of their host, but nothing says so. */
  names: ReadonlySet<string>;
}

/** What the cluster lists, and the entries of --initial-cluster, which are there when etcd does not answer. */
export function otherMembers(
  etcd: DetectedEtcd,
  { etcdCluster, settings }: Pick<PlanInput, 'etcdCluster' | 'settings'>,
): OtherMembers {
  const listed = (etcdCluster?.members ?? []).map(({ id, name, peerUrls, clientUrls }) => ({
    ...{ isLocal: id === etcdCluster?.memberId, name, urls: [...peerUrls, ...clientUrls] },
  }));
  const local = effectiveSetting(etcd, 'name');
  const all = [...listed, ...initialMembers(etcd).map((each) => ({ ...each, isLocal: each.name === local }))];
  const own = new Set([
    ...['localhost', '127.0.0.1', '::1', local.toLowerCase(), settings.nodeName.toLowerCase()],
    ...settings.addresses.map(canonicalHost),
    ...hostsOf(urlSettings.flatMap((name) => splitUrls(effectiveSetting(etcd, name)))),
    ...all.filter(({ isLocal }) => isLocal).flatMap(({ urls, name }) => [...hostsOf(urls), name.toLowerCase()]),
  ]);
  const others = all.filter(({ isLocal }) => !isLocal);
  const foreign = (hosts: string[]) => new Set(hosts.filter((host) => host !== '' && !own.has(host)));
  return {
    hosts: foreign(others.flatMap(({ urls }) => hostsOf(urls))),
    names: foreign(others.map(({ name }) => name.toLowerCase())),
  };
}

/** A host as it is compared: an address in its canonical form, a name in lower case and without a dot at its end. */
export function canonicalHost(host: string): string {
  return canonicalIp(host) ?? host.toLowerCase().replace(/\.$/, '');
}

function initialMembers(etcd: DetectedEtcd): { name: string; urls: string[] }[] {
  return splitUrls(effectiveSetting(etcd, 'initial-cluster')).flatMap((entry) => {
    const [, name, url] = /^([^=]+)=(.*)$/s.exec(entry) ?? [];
    return name === undefined || url === undefined ? [] : [{ name: name.trim(), urls: [url.trim()] }];
  });
}

function hostsOf(urls: readonly string[]): string[] {
  return urls.flatMap((url) => {
    const host = hostAndPort(url)?.host;
    return host === undefined ? [] : [canonicalHost(host)];
  });
}
