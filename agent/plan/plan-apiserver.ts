/** What an API server should look like. */
import type { DetectedApiserver, Problem } from '../detect/detected.ts';
import { apiserverDialect } from '../detect/flag-dialects.ts';
import { lastFlag } from '../detect/flags.ts';
import { below } from '../detect/source-file.ts';
import { componentFolder, currentFile } from '../layout.ts';
import type { BundleFile } from './change.ts';
import { wishDropIn } from './drop-in.ts';
import { type EtcdAccess, etcdAccess, type LocalEtcd } from './etcd-servers.ts';
import { guardTrust } from './guard-trust.ts';
import type { PlanInput } from './plan-input.ts';
import { type FlagEdit, rewriteCommand } from './rewrite-command.ts';
import { apiserverNames, noNames, servedNames } from './wanted-names.ts';
import type { Wish, WishedSlot } from './wish.ts';

/** The wish for an API server. */
export interface ApiserverWish extends Wish {
  detected: DetectedApiserver;
  /** True when it uses the local etcd and its flags for that change: then the two change together. */
  followsEtcd: boolean;
}

/** Headers in which the API server tells aggregated API servers who calls (kubeadm's values). */
const requestHeaders = [
  ['requestheader-allowed-names', 'front-proxy-client'],
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
  const { unit } = apiserver;
  const access = etcdAccess(apiserver, etcd, input.settings);
  const edits = flagEdits(apiserver, access, input);
  const place = { path: unit.files[0]?.path ?? '' };
  const changed = [...edits].filter(([name, edit]) => changes(apiserver, name, edit)).map(([name]) => name);
  const problem: Problem[] =
    access.kind === 'blocked' ? [{ component: 'kube-apiserver', message: access.message }] : [];
  return {
    detected: apiserver,
    slots: slotsOf(apiserver, access, input),
    bundles: bundlesOf(access),
    files: wishDropIn(unit, { command: rewriteCommand(unit.command, apiserverDialect, edits, place) }),
    memberUpdate: undefined,
    target: 'enforced',
    summary: changed.map((name) => `--${name}`),
    problems: [...problem, ...guardTrust(apiserver, [...edits.keys()], input)],
    followsEtcd: access.usesLocal && (access.kind === 'blocked' || changed.some((name) => name.startsWith('etcd-'))),
  };
}

function flagEdits(
  { flags, effectiveFlags }: DetectedApiserver,
  access: EtcdAccess,
  input: PlanInput,
): Map<string, FlagEdit> {
  const file = (name: string) => currentFile(input.layout, 'kube-apiserver', name);
  const edits = new Map<string, FlagEdit>();
  const set = (name: string, value: string) => edits.set(name, { set: value });
  set('tls-cert-file', file('serving.crt'));
  set('tls-private-key-file', file('serving.key'));
  set('client-ca-file', file('client-ca.crt'));
  set('kubelet-client-certificate', file('kubelet-client.crt'));
  set('kubelet-client-key', file('kubelet-client.key'));
  set('proxy-client-cert-file', file('front-proxy-client.crt'));
  set('proxy-client-key-file', file('front-proxy-client.key'));
  set('requestheader-client-ca-file', file('front-proxy-ca.crt'));
  if (!flags.has('requestheader-client-ca-file')) for (const [name, value] of requestHeaders) set(name, value);
  else allowFrontProxy(flags.get('requestheader-allowed-names') ?? [], set);
  // a new kubelet that is not there yet is no reason to stop verifying the others
  const verified = lastFlag(effectiveFlags, 'kubelet-certificate-authority') === file('kubelet-ca.crt');
  if (input.settings.verifyKubelets || verified) set('kubelet-certificate-authority', file('kubelet-ca.crt'));
  if (access.kind === 'secured') {
    edits.set('etcd-servers', { map: access.secure });
    set('etcd-cafile', file('etcd-ca.crt'));
    set('etcd-certfile', file('etcd-client.crt'));
    set('etcd-keyfile', file('etcd-client.key'));
  }
  return edits;
}

/** An empty list allows any name; repeated flags add up, so the last one can take the name in. */
function allowFrontProxy(lists: readonly string[], set: (name: string, value: string) => void): void {
  const allowed = lists.flatMap((list) => list.split(',')).filter((name) => name !== '');
  if (allowed.length === 0 || allowed.includes('front-proxy-client')) return;
  set('requestheader-allowed-names', [lists.at(-1), 'front-proxy-client'].filter(Boolean).join(','));
}

function changes({ effectiveFlags }: DetectedApiserver, name: string, edit: FlagEdit): boolean {
  const inForce = effectiveFlags.get(name) ?? [];
  if (edit === 'drop') return inForce.length > 0;
  return 'set' in edit ? inForce.at(-1) !== edit.set : inForce.some((value) => edit.map(value) !== value);
}

function slotsOf(apiserver: DetectedApiserver, access: EtcdAccess, input: PlanInput): WishedSlot[] {
  const { layout, detected, settings } = input;
  const serving = below(layout, lastFlag(apiserver.effectiveFlags, 'tls-cert-file') ?? '');
  const served = servedNames(detected.certificates, serving, componentFolder(layout, 'kube-apiserver'));
  return [
    { profile: 'kube-apiserver-serving', file: 'serving', ...apiserverNames(apiserver, settings, served) },
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
