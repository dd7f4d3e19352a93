/** How the API server reaches etcd: which of its URLs are the local member's, and which schemes they need. */
import { canonicalIp } from '../../common/x509/ip-address.ts';
import type { DetectedApiserver, DetectedEtcd } from '../detect/detected.ts';
import { lastFlag } from '../detect/flags.ts';
import { refOfPod } from '../process/process-ref.ts';
import type { Dependant } from './change.ts';
import { effectiveSetting } from './etcd-settings.ts';
import { hostAndPort, secureUrl, splitUrls } from './etcd-urls.ts';
import { canonicalHost, otherMembers } from './other-members.ts';
import type { PlanInput } from './plan-input.ts';
import type { NodeSettings } from './settings.ts';

/** The local member, as the API server will find it. */
export interface LocalEtcd {
  detected: DetectedEtcd;
  /** As it will listen for clients. */
  listenClientUrls: string;
  /** True when the plan replaces its certificates. */
  managed: boolean;
}

/** What the API server has to do about etcd. */
export type EtcdAccess =
  /** Nothing: flags stay as they are. */
  | { kind: 'untouched'; usesLocal: boolean }
  /** Every URL is https; the API server brings a certificate of ours. */
  | { kind: 'secured'; usesLocal: boolean; secure(list: string): string }
  /** It cannot be done. */
  | { kind: 'blocked'; usesLocal: boolean; message: string };

/**
 * Decides by the flags without our drop-in. URLs become https where the local member speaks it; one that is https in force
 * never goes back, also when the member cannot be looked at just now.
 */
export function etcdAccess(
  { flags, effectiveFlags }: DetectedApiserver,
  local: LocalEtcd | undefined,
  settings: NodeSettings,
): EtcdAccess {
  const before = (flags.get('etcd-servers') ?? []).flatMap(splitUrls);
  const inForce = new Set((effectiveFlags.get('etcd-servers') ?? []).flatMap(splitUrls));
  const isLocal = local === undefined ? () => false : localUrls(local, settings);
  const usesLocal = before.some(isLocal);
  const secure = (url: string) => {
    const secured = secureUrl(url);
    return inForce.has(secured) || (isLocal(url) && speaksTls(local, url)) ? secured : url;
  };
  const turned = before.filter((url) => secure(url) !== url);
  const plain = before.filter((url) => /^http:/i.test(secure(url)));
  const overridden = (flags.get('etcd-servers-overrides') ?? []).some((list) => /#(.*;)?http:/i.test(list));
  if (turned.length > 0 && (plain.length > 0 || overridden)) {
    const named =
      plain.length > 0 ? `--etcd-servers names ${plain.join(', ')}` : '--etcd-servers-overrides names members';
    return {
      kind: 'blocked',
      usesLocal,
      message: `${named} without TLS beside the local etcd, and the API server cannot use both once that demands certificates: name only the local etcd, or https members`,
    };
  }
  const ours = turned.length > 0 || flags.has('etcd-cafile') || (usesLocal && local?.managed === true);
  if (before.length === 0 || plain.length > 0 || !ours) return { kind: 'untouched', usesLocal };
  return { kind: 'secured', usesLocal, secure: (list) => splitUrls(list).map(secure).join(',') };
}

/**
 * URLs by which the API server may reach the local member without what that will demand, and that would not change with it: by a name
 * or an address that nothing on the node explains, on a port on which the member listens. What another member is known by is none.
 */
export function unclearServers(
  { flags, effectiveFlags }: DetectedApiserver,
  local: LocalEtcd,
  input: Pick<PlanInput, 'etcdCluster' | 'settings'>,
): string[] {
  const isLocal = localUrls(local, input.settings);
  const { hosts: elsewhere } = otherMembers(local.detected, input);
  const listeners = splitUrls(effectiveSetting(local.detected, 'listen-client-urls')).flatMap(
    (url) => hostAndPort(url) ?? [],
  );
  const mayBeLocal = (url: string) => {
    const at = hostAndPort(url);
    const onPort = listeners.filter(({ port }) => port === at?.port);
    if (at === undefined || onPort.length === 0 || elsewhere.has(canonicalHost(at.host))) return false;
    // an address leads here only where the member listens at it, or at all
    return canonicalIp(at.host) === undefined || onPort.some(({ host }) => host === '0.0.0.0' || host === '::');
  };
  const isBare = (url: string) => /^http:/i.test(url) || lastFlag(effectiveFlags, 'etcd-certfile') === undefined;
  // in force: what is https already never goes back
  const named = (effectiveFlags.get('etcd-servers') ?? []).flatMap(splitUrls);
  const overrides = (flags.get('etcd-servers-overrides') ?? []).flatMap(overrideUrls);
  return [
    ...named.filter((url) => isBare(url) && !isLocal(url) && mayBeLocal(url)),
    ...overrides.filter((url) => isBare(url) && (isLocal(url) || mayBeLocal(url))),
  ];
}

/** API servers that know no etcd but this member, where kubelet runs both. */
export function soleUsers(
  etcd: DetectedEtcd,
  { detected, settings }: Pick<PlanInput, 'detected' | 'settings'>,
): Dependant[] {
  if (etcd.process.kind !== 'static-pod') return [];
  const isLocal = localUrls({ detected: etcd }, settings);
  return detected.components.flatMap((each) => {
    if (each.component !== 'kube-apiserver' || each.process.kind !== 'static-pod') return [];
    const servers = (each.effectiveFlags.get('etcd-servers') ?? []).flatMap(splitUrls);
    if (servers.length === 0 || !servers.every(isLocal)) return [];
    return [{ component: each.component, process: refOfPod(each.process) }];
  });
}

/** GROUP/RESOURCE#URL;URL, separated by commas. */
function overrideUrls(list: string): string[] {
  return list.split(',').flatMap((entry) => (entry.split('#')[1] ?? '').split(';').map((url) => url.trim()));
}

/** A URL is the local member's when its host is this node and its port one on which the member listens. */
function localUrls(
  { detected }: Pick<LocalEtcd, 'detected'>,
  { nodeName, addresses }: NodeSettings,
): (url: string) => boolean {
  const lists = ['listen-client-urls', 'advertise-client-urls'].map((name) => effectiveSetting(detected, name));
  const served = lists.flatMap(splitUrls).flatMap((url) => hostAndPort(url) ?? []);
  const hosts = new Set([nodeName, ...addresses.map(canonicalHost), ...served.map(({ host }) => canonicalHost(host))]);
  const ports = new Set(served.map(({ port }) => port));
  return (url) => {
    const at = hostAndPort(url);
    if (at === undefined || !ports.has(at.port)) return false;
    const host = canonicalHost(at.host);
    return host === 'localhost' || host === '::1' || host.startsWith('127.') || hosts.has(host);
  };
}

function speaksTls(local: LocalEtcd | undefined, url: string): boolean {
  const port = hostAndPort(url)?.port;
  const listeners = splitUrls(local?.listenClientUrls ?? '').filter((listener) => hostAndPort(listener)?.port === port);
  return listeners.length > 0 && listeners.every((listener) => /^https:/i.test(listener));
}
