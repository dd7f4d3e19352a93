/** How the API server reaches etcd: which of its URLs are the local member's, and which schemes they need. */
import type { DetectedApiserver, DetectedEtcd } from '../detect/detected.ts';
import { lastFlag } from '../detect/flags.ts';
import { joinList, listFlag, splitList } from '../detect/list-flag.ts';
import { refOfPod } from '../process/process-ref.ts';
import type { Dependant } from './change.ts';
import { hostAndPort, splitUrls } from './etcd-urls.ts';
import { localMember, securedForms } from './local-member.ts';
import type { PlanInput } from './plan-input.ts';

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

/** URLs by which the API server may reach the local member, and that stay as they are. */
export interface UnclearServers {
  /** In --etcd-servers: what would change, if it were known to be this member. */
  servers: string[];
  /** In --etcd-servers-overrides, which never changes. */
  overrides: string[];
}

/** Flags of an API server by name. */
type Flags = DetectedApiserver['flags'];

/**
 * Decides by the flags without our drop-in. URLs become https where the local member speaks it; one that is https in force
 * never goes back, also when the member cannot be looked at just now.
 */
export function etcdAccess(
  { flags, effectiveFlags }: DetectedApiserver,
  local: LocalEtcd | undefined,
  input: Pick<PlanInput, 'etcdCluster' | 'settings'>,
): EtcdAccess {
  const before = listFlag(flags, 'etcd-servers');
  const inForce = new Set(listFlag(effectiveFlags, 'etcd-servers'));
  const member = local === undefined ? undefined : localMember(local.detected, input);
  const usesLocal = member !== undefined && before.some(member.is);
  const secure = (url: string) => {
    if (speaksTls(url, flags)) return url;
    const secured = securedForms(url).find((form) => inForce.has(form));
    return secured ?? (member?.is(url) && servesTls(local, url) ? member.secure(url) : url);
  };
  const turned = before.filter((url) => secure(url) !== url);
  const plain = before.filter((url) => !speaksTls(secure(url), flags));
  const overridden = overrideUrls(flags).some((url) => !speaksTls(url, flags));
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
  const secureList = (list: string) => {
    const entries = splitList(list);
    return entries.some((url) => secure(url) !== url) ? joinList(entries.map(secure)) : list;
  };
  return { kind: 'secured', usesLocal, secure: secureList };
}

/**
 * URLs by which the API server may reach the local member without what that will demand, and that would not change with it, as
 * mayBe of a LocalMember tells.
 */
export function unclearServers(
  { flags, effectiveFlags }: DetectedApiserver,
  local: LocalEtcd,
  input: Pick<PlanInput, 'etcdCluster' | 'settings'>,
): UnclearServers {
  const { is, mayBe } = localMember(local.detected, input);
  const isBare = (url: string) =>
    !speaksTls(url, effectiveFlags) || lastFlag(effectiveFlags, 'etcd-certfile') === undefined;
  // in force: what is https already never goes back
  const named = listFlag(effectiveFlags, 'etcd-servers');
  return {
    servers: named.filter((url) => isBare(url) && !is(url) && mayBe(url)),
    overrides: overrideUrls(flags).filter((url) => isBare(url) && (is(url) || mayBe(url))),
  };
}

/** API servers that know no etcd but this member, where kubelet runs both. */
export function soleUsers(etcd: DetectedEtcd, input: PlanInput): Dependant[] {
  if (etcd.process.kind !== 'static-pod') return [];
  const { is } = localMember(etcd, input);
  return input.detected.components.flatMap((each) => {
    if (each.component !== 'kube-apiserver' || each.process.kind !== 'static-pod') return [];
    const servers = listFlag(each.effectiveFlags, 'etcd-servers');
    if (servers.length === 0 || !servers.every(is)) return [];
    return [{ component: each.component, process: refOfPod(each.process) }];
  });
}

/** GROUP/RESOURCE#URL;URL each. */
function overrideUrls(flags: Flags): string[] {
  return listFlag(flags, 'etcd-servers-overrides').flatMap((entry) =>
    (entry.split('#')[1] ?? '')
      .split(';')
      .map((url) => url.trim())
      .filter((url) => url !== ''),
  );
}

/**
 * True when the API server speaks TLS there: by the scheme, or without one by any of the flags for it (etcd 3.5, client/v3/client.go; of a
 * unix socket it is not told).
 */
function speaksTls(url: string, flags: Flags): boolean {
  if (hostAndPort(url) === undefined) return false;
  const hasTls = ['etcd-cafile', 'etcd-certfile', 'etcd-keyfile'].some((name) => (lastFlag(flags, name) ?? '') !== '');
  return /^https:/i.test(url) || (hasTls && !/^http:/i.test(url));
}

function servesTls(local: LocalEtcd | undefined, url: string): boolean {
  const port = hostAndPort(url)?.port;
  const listeners = splitUrls(local?.listenClientUrls ?? '').filter((listener) => hostAndPort(listener)?.port === port);
  return listeners.length > 0 && listeners.every((listener) => /^https:/i.test(listener));
}
