/** The etcd member of this node, as a URL may name it. */
import { canonicalIp } from '../../common/x509/ip-address.ts';
import type { DetectedEtcd } from '../detect/detected.ts';
import { isLoopback } from '../journal/host-port.ts';
import { effectiveSetting } from './etcd-settings.ts';
import { hostAndPort, secureUrl, splitUrls } from './etcd-urls.ts';
import { canonicalHost, otherMembers } from './other-members.ts';
import type { PlanInput } from './plan-input.ts';
import type { NodeSettings } from './settings.ts';

/** Stands for all addresses where a server listens, and for this host where a client dials it (Go, net.Dial). */
const unspecified: ReadonlySet<string> = new Set(['', '0.0.0.0', '::']);

/** Tells of a URL, with a scheme or without, whether it leads to the member. */
export interface LocalMember {
  /** True when its host is this node, and its port one on which the member listens. */
  is(url: string): boolean;
  /**
   * True for what may lead to it besides: a unix socket, what is no URL, no port, and on its port a name or an address that nothing on the
   * node explains. What another member is known by does not.
   */
  mayBe(url: string): boolean;
  /** A URL of it, as https and with a host that the member's certificate names. */
  secure(url: string): string;
}

/** The member as its settings in force and those of the node tell of it. */
export function localMember(
  etcd: DetectedEtcd,
  input: Pick<PlanInput, 'etcdCluster'> & { settings: NodeSettings },
): LocalMember {
  const { nodeName, addresses } = input.settings;
  const listeners = placesOf(etcd, 'listen-client-urls');
  const served = [...listeners, ...placesOf(etcd, 'advertise-client-urls')];
  const hosts = ['127.0.0.1', nodeName, ...addresses, ...served.map(({ host }) => host)].map(canonicalHost);
  const named = new Set(hosts.filter((host) => !unspecified.has(host)));
  const ports = new Set(served.map(({ port }) => port));
  const { hosts: elsewhere } = otherMembers(etcd, input);
  const isHere = (host: string) => unspecified.has(host) || isLoopback(host) || named.has(host);
  return {
    is: (url) => {
      const at = hostAndPort(url);
      return at !== undefined && at.port !== '' && ports.has(at.port) && isHere(canonicalHost(at.host));
    },
    mayBe: (url) => {
      const at = hostAndPort(url);
      if (at === undefined) return true;
      const host = canonicalHost(at.host);
      const onPort = listeners.filter(({ port }) => at.port === '' || port === at.port);
      if (onPort.length === 0 || elsewhere.has(host)) return false;
      // an address leads here only where the member listens at it, or at all, or at a name
      return isHere(host) || canonicalIp(host) === undefined || onPort.some((listener) => isWide(listener.host));
    },
    secure: (url) => {
      const [written = url, atLoopback = written] = securedForms(url);
      return named.has(canonicalHost(hostAndPort(url)?.host ?? '')) ? written : atLoopback;
    },
  };
}

/** What a URL may become: itself as https and, where its host stands for loopback in another way, 127.0.0.1 as https. */
export function securedForms(url: string): string[] {
  const written = /^https?:/i.test(url) ? secureUrl(url) : `https://${url}`;
  const { host = '', port = '' } = hostAndPort(url) ?? {};
  const at = canonicalHost(host);
  return unspecified.has(at) || isLoopbackAddress(at) ? [written, `https://127.0.0.1:${port}`] : [written];
}

function placesOf(etcd: DetectedEtcd, setting: string): { host: string; port: string }[] {
  return splitUrls(effectiveSetting(etcd, setting)).flatMap((url) => hostAndPort(url) ?? []);
}

/** Without localhost and ::1, which our certificates name. */
function isLoopbackAddress(host: string): boolean {
  return host !== '::1' && canonicalIp(host) !== undefined && isLoopback(host);
}

function isWide(host: string): boolean {
  return unspecified.has(canonicalHost(host)) || (canonicalIp(host) === undefined && host !== 'localhost');
}
