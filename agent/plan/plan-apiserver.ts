/** What an API server should look like. */
import type { Authority } from '../../common/names/names.ts';
import type { DetectedApiserver, Problem } from '../detect/detected.ts';
import { apiserverDialect } from '../detect/flag-dialects.ts';
import { lastFlag } from '../detect/flags.ts';
import { componentFolder, currentFile } from '../layout.ts';
import type { BundleFile } from './change.ts';
import { changedFlags, editCommand } from './command-edits.ts';
import { completeChange } from './complete-change.ts';
import { type EtcdAccess, etcdAccess, type LocalEtcd, type UnclearServers, unclearServers } from './etcd-servers.ts';
import { allowFrontProxy, frontProxyName } from './front-proxy-names.ts';
import { apiserverServedPath, guardKubeletRoots, guardServing } from './guard-serving.ts';
import { guardTrust, rootIdentity, rootsIn, rootsOf, unreadableRoots } from './guard-trust.ts';
import { issuable } from './issuable.ts';
import type { PlanInput } from './plan-input.ts';
import type { FlagEdit } from './rewrite-command.ts';
import { issuesLeaves, rotationOf } from './rotation.ts';
import { servedNow } from './served-now.ts';
import { type SniPairs, sniFlag, sniPairs } from './sni-pairs.ts';
import { reloadsOf } from './take-up.ts';
import { tokenKey } from './token-key.ts';
import { apiserverNames, joinNames, namesOf, noNames, servedNames } from './wanted-names.ts';
import type { Wish, WishedSlot } from './wish.ts';

/** The wish for an API server. */
export interface ApiserverWish extends Wish {
  detected: DetectedApiserver;
  /** True when it uses the local etcd and its flags for that change: then the two change together. */
  followsEtcd: boolean;
  /** URLs by which it may reach the local etcd, and that stay as they are: they would not survive that etcd turns to TLS. */
  unclearServers: UnclearServers;
}

/** Headers in which the API server tells aggregated API servers who calls (kubeadm's values). */
const requestHeaders = [
  ['requestheader-allowed-names', frontProxyName],
  ['requestheader-username-headers', 'X-Remote-User'],
  ['requestheader-group-headers', 'X-Remote-Group'],
  ['requestheader-extra-headers-prefix', 'X-Remote-Extra-'],
] as const;

/**
 * The wish.
 *
 * @param etcd - the local member as it will be, undefined when there is none that could be looked at
 */
export function planApiserver(
  apiserver: DetectedApiserver,
  etcd: LocalEtcd | undefined,
  input: PlanInput,
): ApiserverWish {
  const access = accessOf(apiserver, etcd, input);
  const sni = sniPairs(apiserver, input);
  const key = tokenKey(apiserver, input);
  const edits = flagEdits(apiserver, access, key.path, input);
  if (sni.edit !== undefined) edits.set(sniFlag, sni.edit);
  const leftOut = sni.leftOut.map((value) => ({ flag: sniFlag, value }));
  const command = editCommand(apiserver, apiserverDialect, edits, input, leftOut);
  const changed = changedFlags(apiserver.effectiveFlags, edits);
  const blocked: Problem[] =
    access.kind === 'blocked' ? [{ component: 'kube-apiserver', message: access.message }] : [];
  const { slots, problems } = issuable(apiserver, slotsOf(apiserver, access, sni, input), input);
  return {
    detected: apiserver,
    slots,
    bundles: bundlesOf(access),
    files: command.files,
    memberUpdate: undefined,
    target: issuesLeaves(input, 'kubernetes') ? 'enforced' : 'trusting',
    reloads: reloadsOf(
      'kube-apiserver',
      apiserver.version,
      edits.has('kubelet-certificate-authority') ? [] : ['kubelet-ca.crt'],
    ),
    restartMark: command.restartMark,
    summary: changed.map((name) => `--${name}`),
    notes: sni.notes,
    problems: [
      ...blocked,
      ...problems,
      ...command.problems,
      ...sni.problems,
      ...(edits.has('tls-cert-file') ? key.problems : []),
      ...guards(apiserver, [...edits.keys()], input),
    ],
    followsEtcd: access.usesLocal && (access.kind === 'blocked' || changed.some((name) => name.startsWith('etcd-'))),
    unclearServers: etcd === undefined ? { servers: [], overrides: [] } : unclearServers(apiserver, etcd, input),
  };
}

function guards(apiserver: DetectedApiserver, replaced: readonly string[], input: PlanInput): Problem[] {
  return [
    ...guardTrust(apiserver, replaced, input),
    ...guardServing(apiserver, replaced, input),
    ...guardKubeletRoots(apiserver, replaced, input),
  ];
}

/** Members that the plan does not know and that speak TLS already become ours only when a root of ours verifies them. */
function accessOf(apiserver: DetectedApiserver, etcd: LocalEtcd | undefined, input: PlanInput): EtcdAccess {
  const access = etcdAccess(apiserver, etcd, input);
  if (access.kind !== 'secured' || (access.usesLocal && etcd?.managed === true)) return access;
  const path = lastFlag(apiserver.effectiveFlags, 'etcd-cafile') ?? '';
  if (path.startsWith(`${componentFolder(input.layout, 'kube-apiserver')}/`)) return access;
  const unreadable = unreadableRoots(path, input);
  if (unreadable !== undefined) {
    const message = `the roots of --etcd-cafile cannot be read (${unreadable}), so it cannot be told whose etcd it uses: repair ${path}`;
    return { kind: 'blocked', usesLocal: access.usesLocal, message };
  }
  const ours = new Set(rootsOf(input.bundles, 'etcd').map(rootIdentity));
  if (rootsIn(path, input).some((root) => ours.has(rootIdentity(root)))) return access;
  return { kind: 'untouched', usesLocal: access.usesLocal };
}

/** Ours for kubelets. */
function kubeletRoots({ layout }: PlanInput): string {
  return currentFile(layout, 'kube-apiserver', 'kubelet-ca.crt');
}

/** Trust changes in every phase of a root's change; the settings that name leaves only while leaves are issued. */
function flagEdits(
  { flags, effectiveFlags }: DetectedApiserver,
  access: EtcdAccess,
  keyOfTokens: string | undefined,
  input: PlanInput,
): Map<string, FlagEdit> {
  const file = (name: string) => currentFile(input.layout, 'kube-apiserver', name);
  const edits = new Map<string, FlagEdit>();
  const set = (name: string, value: string) => edits.set(name, { set: value });
  const pair = (authority: Authority, name: string, certificate: string, key: string) => {
    if (!issuesLeaves(input, authority)) return;
    set(certificate, file(`${name}.crt`));
    set(key, file(`${name}.key`));
  };
  pair('kubernetes', 'serving', 'tls-cert-file', 'tls-private-key-file');
  if (edits.has('tls-private-key-file') && keyOfTokens !== undefined) set('service-account-key-file', keyOfTokens);
  set('client-ca-file', file('client-ca.crt'));
  pair('kubernetes', 'kubelet-client', 'kubelet-client-certificate', 'kubelet-client-key');
  pair('front-proxy', 'front-proxy-client', 'proxy-client-cert-file', 'proxy-client-key-file');
  set('requestheader-client-ca-file', file('front-proxy-ca.crt'));
  if (flags.has('requestheader-client-ca-file')) allowFrontProxy(flags, edits);
  else for (const [name, value] of requestHeaders) set(name, value);
  if (verifiesKubelets(effectiveFlags, input)) set('kubelet-certificate-authority', kubeletRoots(input));
  if (access.kind === 'secured') {
    edits.set('etcd-servers', { map: access.secure });
    set('etcd-cafile', file('etcd-ca.crt'));
    pair('etcd', 'etcd-client', 'etcd-certfile', 'etcd-keyfile');
  }
  return edits;
}

/**
 * The wish, but without the flag by which it begins to verify kubelets where that alone would restart it: one restart more is no price
 * for it unless an operator says so.
 */
export function planApiserverOnce(...[apiserver, etcd, input]: Parameters<typeof planApiserver>): ApiserverWish {
  const wish = planApiserver(apiserver, etcd, input);
  const inForce = lastFlag(apiserver.effectiveFlags, 'kubelet-certificate-authority') === kubeletRoots(input);
  if (input.settings.kubeletVerification !== 'with-restart' || inForce) return wish;
  const settings = { ...input.settings, kubeletVerification: 'no' as const };
  const without = planApiserver(apiserver, etcd, { ...input, settings });
  return completeChange(without, input)?.takeUp === 'restart' ? wish : without;
}

/**
 * True when the roots for kubelets are ours to set: once all kubelets have certificates of ours, and then for good, since a new
 * kubelet that is not there yet is no reason to stop verifying the others; and whenever roots that are in use change.
 */
function verifiesKubelets(flags: DetectedApiserver['effectiveFlags'], input: PlanInput): boolean {
  const inForce = lastFlag(flags, 'kubelet-certificate-authority');
  const changes = rotationOf(input, 'kubernetes').phase !== 'settled';
  const { kubeletVerification: wanted } = input.settings;
  const isWanted = wanted === 'with-restart' || wanted === 'at-once';
  return isWanted || inForce === kubeletRoots(input) || (changes && inForce !== undefined && inForce !== '');
}

function slotsOf(apiserver: DetectedApiserver, access: EtcdAccess, sni: SniPairs, input: PlanInput): WishedSlot[] {
  const served = servedNow('kube-apiserver', apiserverServedPath(apiserver), input);
  const names = joinNames([servedNames(served), ...sni.replaced.map(namesOf)]);
  return [
    { profile: 'kube-apiserver-serving', file: 'serving', ...apiserverNames(apiserver, input.settings, names) },
    { profile: 'kube-apiserver-kubelet-client', file: 'kubelet-client', ...noNames },
    ...(access.kind === 'secured'
      ? [{ profile: 'kube-apiserver-etcd-client' as const, file: 'etcd-client', ...noNames }]
      : []),
    { profile: 'front-proxy-client', file: 'front-proxy-client', ...noNames },
    { profile: 'probe-client', file: 'probe-client', ...noNames },
  ];
}

function bundlesOf(access: EtcdAccess): BundleFile[] {
  return [
    { authority: 'kubernetes', file: 'client-ca.crt' },
    { authority: 'kubernetes', file: 'kubelet-ca.crt' },
    { authority: 'front-proxy', file: 'front-proxy-ca.crt' },
    ...(access.kind === 'secured' ? [{ authority: 'etcd' as const, file: 'etcd-ca.crt' }] : []),
  ];
}
