/** What an etcd member should look like. */
import type { DetectedEtcd } from '../detect/detected.ts';
import { passedOver } from '../detect/etcd-config.ts';
import type { ServedPath } from '../detect/served-paths.ts';
import { componentFolder, currentFile } from '../layout.ts';
import type { MemberUpdate } from './change.ts';
import { attempt } from './edit-file.ts';
import { wishEtcdFiles } from './etcd-files.ts';
import { soleUsers } from './etcd-servers.ts';
import {
  clientListeners,
  demandsClients,
  effectiveSetting,
  etcdSettings,
  isEnforced,
  isOn,
  speaksTls,
  trustSettings,
} from './etcd-settings.ts';
import { allSecure, anySecure, secureUrl } from './etcd-urls.ts';
import { guardProbes } from './guard-probes.ts';
import { guardServing } from './guard-serving.ts';
import { guardTrust } from './guard-trust.ts';
import { guardUrls } from './guard-urls.ts';
import { issuable } from './issuable.ts';
import { otherMembers } from './other-members.ts';
import type { EtcdMember, PlanInput } from './plan-input.ts';
import { issuesLeaves, rotationOf } from './rotation.ts';
import { servedNow } from './served-now.ts';
import { etcdNames, noNames, servedNames } from './wanted-names.ts';
import type { Wish, WishedSlot } from './wish.ts';
import type { CommandWish } from './wish-command.ts';

const nothing: CommandWish = { files: [], restartMark: undefined };

/** The wish for a member, and what its clients have to know of it. */
export interface EtcdWish extends Wish {
  detected: DetectedEtcd;
  /** As it will listen for clients. */
  listenClientUrls: string;
  /** True when clients that are served now need TLS or a certificate afterwards. */
  turns: boolean;
}

/**
 * The wish; undefined for a member that is left alone: while the server has not decided how far etcd goes, and in the phase
 * trust of its CA when it trusts nobody.
 */
export function planEtcd(etcd: DetectedEtcd, input: PlanInput): EtcdWish | undefined {
  const { etcdStep } = input.settings;
  if (etcdStep === undefined) return undefined;
  // no way leads back from a member that demands certificates, whatever the fleet's step is
  const step = isEnforced(etcd) ? 'enforce' : etcdStep;
  if (rotationOf(input, 'etcd').phase === 'trust' && !speaksTls(etcd)) return undefined;
  return issuesLeaves(input, 'etcd') ? planLeaves(etcd, step, input) : planTrust(etcd, input);
}

/** Mutual TLS with leaves of ours, or the preparation for it. */
function planLeaves(etcd: DetectedEtcd, step: 'prepare' | 'enforce', input: PlanInput): EtcdWish {
  const { layout } = input;
  const member = memberOf(input);
  const settings = etcdSettings(etcd, { step, member, file: (name) => currentFile(layout, 'etcd', name) });
  const after = (name: string) => settings.get(name) ?? effectiveSetting(etcd, name);
  const { slots, problems } = issuable(etcd, slotsOf(etcd, after, member, input), input);
  const leftOut = new Set(slots.flatMap((slot) => slot.leftOut ?? []));
  const wish = wishOf(etcd, settings, step, input);
  const demanded = demandsClients(etcd) && allSecure(clientListeners((name) => effectiveSetting(etcd, name)));
  const turns = step === 'enforce' && !demanded;
  return {
    ...wish,
    slots,
    problems: [
      ...wish.problems,
      ...problems,
      ...servedNow('etcd', peerServedPath(etcd), input).problems,
      ...(turns ? guardProbes(etcd, clientListeners(after)) : []),
    ],
    summary: [
      ...wish.summary,
      ...(leftOut.size === 0 ? [] : [`certificates without the names of other members: ${[...leftOut].join(', ')}`]),
    ],
    memberUpdate: step === 'enforce' ? memberUpdateOf(member) : undefined,
    target: step === 'enforce' ? 'enforced' : 'prepared',
    listenClientUrls: after('listen-client-urls'),
    turns,
  };
}

/** Only the roots move; the leaves of a CA that is not ours stay until everybody trusts ours. */
function planTrust(etcd: DetectedEtcd, input: PlanInput): EtcdWish | undefined {
  const settings = trustSettings(etcd, (name) => currentFile(input.layout, 'etcd', name));
  if (settings.size === 0) return undefined;
  const { slots, problems } = issuable(
    etcd,
    slotsOf(etcd, (name) => effectiveSetting(etcd, name), memberOf(input), input),
    input,
  );
  const wish = wishOf(etcd, settings, 'prepare', input);
  return {
    ...wish,
    slots,
    memberUpdate: undefined,
    target: 'trusting',
    problems: [...wish.problems, ...problems],
    listenClientUrls: effectiveSetting(etcd, 'listen-client-urls'),
    turns: false,
  };
}

/** What follows from the settings in the same way whatever the step is. */
function wishOf(
  etcd: DetectedEtcd,
  settings: ReadonlyMap<string, string>,
  step: 'prepare' | 'enforce',
  input: PlanInput,
): Pick<
  EtcdWish,
  'detected' | 'bundles' | 'files' | 'restartMark' | 'reloads' | 'dependants' | 'summary' | 'notes' | 'problems'
> {
  const { layout } = input;
  const path = etcd.process.kind === 'unit' ? (etcd.process.files[0]?.path ?? '') : etcd.process.manifest.path;
  const { made, problems } = attempt<CommandWish>('etcd', etcd.configFile?.path ?? path, nothing, () =>
    wishEtcdFiles(etcd, settings, { folders: [componentFolder(layout, 'etcd')], probeFlags: probeFlags(input) }),
  );
  return {
    detected: etcd,
    bundles: [
      { authority: 'etcd', file: 'client-ca.crt' },
      { authority: 'etcd', file: 'peer-ca.crt' },
    ],
    ...made,
    reloads: reloadsOfEtcd(etcd.version),
    dependants: soleUsers(etcd, input),
    summary: [...settings].flatMap(([name, value]) =>
      effectiveSetting(etcd, name) === value ? [] : [`${name}=${value}`],
    ),
    notes: etcd.configFile === undefined ? [] : passedOver(etcd.configFile),
    problems: [
      ...problems,
      ...guardUrls(etcd),
      ...refusals(etcd, step, input).map((message) => ({ component: 'etcd' as const, message })),
      ...guardTrust(etcd, [...settings.keys()], input),
      ...guardServing(etcd, [...settings.keys()], input),
    ],
  };
}

/** An exec probe with certificates of the old CA would fail once that is trusted no more, and kubelet would kill the pod. */
function probeFlags(input: PlanInput): Map<string, string> {
  const { phase } = rotationOf(input, 'etcd');
  if (phase !== 'reissue' && phase !== 'drop') return new Map();
  const file = (name: string) => currentFile(input.layout, 'etcd', name);
  return new Map([
    ['cacert', file('client-ca.crt')],
    ['cert', file('healthcheck-client.crt')],
    ['key', file('healthcheck-client.key')],
  ]);
}

/** etcd reads pairs at every handshake since 3.2, and roots once (reference/pki.md 3.5; 3.4 measured). */
function reloadsOfEtcd(version: string): ReadonlySet<string> {
  const [, major = '0', minor = '0'] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  const reads = Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 2);
  // the healthcheck's pair is read by the agent and by probes, which are new processes
  return new Set([...(reads ? ['server', 'peer'] : []), 'healthcheck-client']);
}

function memberOf({ etcdCluster }: PlanInput): EtcdMember | undefined {
  return etcdCluster?.members.find(({ id }) => id === etcdCluster.memberId);
}

function slotsOf(
  etcd: DetectedEtcd,
  after: (name: string) => string,
  member: EtcdMember | undefined,
  input: PlanInput,
): WishedSlot[] {
  const { settings } = input;
  const others = otherMembers(etcd, input);
  const served = (setting: string) => {
    const path = effectiveSetting(etcd, setting);
    return servedNames(servedNow('etcd', path === '' ? undefined : { setting, path, keyPath: '' }, input));
  };
  const clientUrls = [clientListeners(after), after('advertise-client-urls')];
  const peerUrls = [after('listen-peer-urls'), after('initial-advertise-peer-urls'), ...(member?.peerUrls ?? [])];
  return [
    { profile: 'etcd-server', file: 'server', ...etcdNames(clientUrls, settings, served('cert-file'), others) },
    { profile: 'etcd-peer', file: 'peer', ...etcdNames(peerUrls, settings, served('peer-cert-file'), others) },
    { profile: 'etcd-healthcheck-client', file: 'healthcheck-client', ...noNames },
  ];
}

/** Undefined where peers are served without TLS. */
function peerServedPath(etcd: DetectedEtcd): ServedPath | undefined {
  const path = effectiveSetting(etcd, 'peer-cert-file');
  const serves = path !== '' && anySecure(effectiveSetting(etcd, 'listen-peer-urls'));
  return serves ? { setting: 'peer-cert-file', path, keyPath: '' } : undefined;
}

function memberUpdateOf(member: EtcdMember | undefined): MemberUpdate | undefined {
  if (member === undefined || allSecure(member.peerUrls.join(','))) return undefined;
  return { memberId: member.id, before: member.peerUrls, after: member.peerUrls.map(secureUrl) };
}

function refusals(etcd: DetectedEtcd, step: 'prepare' | 'enforce', input: PlanInput): string[] {
  const refused: string[] = [];
  for (const name of ['auto-tls', 'peer-auto-tls']) {
    if (isOn(effectiveSetting(etcd, name))) refused.push(`--${name} makes etcd sign its own certificates: remove it`);
  }
  for (const name of ['client-cert-allowed-hostname', 'peer-cert-allowed-hostname', 'peer-cert-allowed-cn']) {
    if (effectiveSetting(etcd, name) !== '') refused.push(`--${name} may refuse the new certificates: remove it`);
  }
  const peers = effectiveSetting(etcd, 'initial-advertise-peer-urls');
  if (step === 'enforce' && !allSecure(peers) && memberOf(input) === undefined) {
    refused.push('etcd does not tell its members, so its peer URLs cannot be changed: make it healthy first');
  }
  const alone = input.etcdCluster?.members.length === 1;
  if (effectiveSetting(etcd, 'listen-client-http-urls') !== '' && (input.etcdCluster?.members.length ?? 1) > 1) {
    refused.push(
      '--listen-client-http-urls takes the health check away from the URLs that members list, so the others cannot be asked whether they are well: remove it on every member',
    );
  }
  if (anySecure(peers) && effectiveSetting(etcd, 'peer-trusted-ca-file') === '' && !alone) {
    refused.push(
      'peers speak TLS without --peer-trusted-ca-file, so it cannot be told whom they trust: set it on every member',
    );
  }
  return refused;
}
