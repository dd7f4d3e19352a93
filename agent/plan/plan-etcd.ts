/** What an etcd member should look like. */
import { AppError } from '../../common/errors/app-error.ts';
import type { DetectedEtcd } from '../detect/detected.ts';
import { etcdVariable } from '../detect/etcd.ts';
import { etcdDialect } from '../detect/flag-dialects.ts';
import { below } from '../detect/source-file.ts';
import { componentFolder, currentFile } from '../layout.ts';
import type { MemberUpdate } from './change.ts';
import { header, wishDropIn } from './drop-in.ts';
import { demandsClients, effectiveSetting, etcdSettings, isEnforced, isOn, urlSettings } from './etcd-settings.ts';
import { allSecure, anySecure, secureUrl } from './etcd-urls.ts';
import { guardTrust } from './guard-trust.ts';
import type { EtcdMember, PlanInput } from './plan-input.ts';
import { type FlagEdit, rewriteCommand } from './rewrite-command.ts';
import { etcdNames, noNames, servedNames } from './wanted-names.ts';
import { type Wish, type WishedFile, type WishedSlot, wishFile } from './wish.ts';

/** The wish for a member, and what its clients have to know of it. */
export interface EtcdWish extends Wish {
  detected: DetectedEtcd;
  /** As it will listen for clients. */
  listenClientUrls: string;
  /** True when clients that are served now need TLS or a certificate afterwards. */
  turns: boolean;
}

/** The wish; undefined while the server has not decided how far etcd goes: then it is left alone. */
export function planEtcd(etcd: DetectedEtcd, input: PlanInput): EtcdWish | undefined {
  const { layout } = input;
  if (input.settings.etcdStep === undefined) return undefined;
  // no way leads back from a member that demands certificates, whatever the fleet's step is
  const step = isEnforced(etcd) ? 'enforce' : input.settings.etcdStep;
  const member = input.etcdCluster?.members.find(({ id }) => id === input.etcdCluster?.memberId);
  const settings = etcdSettings(etcd, { step, member, file: (name) => currentFile(layout, 'etcd', name) });
  const after = (name: string) => settings.get(name) ?? effectiveSetting(etcd, name);
  const demanded = demandsClients(etcd) && allSecure(effectiveSetting(etcd, 'listen-client-urls'));
  return {
    detected: etcd,
    slots: slotsOf(etcd, after, member, input),
    bundles: [
      { authority: 'etcd', file: 'client-ca.crt' },
      { authority: 'etcd', file: 'peer-ca.crt' },
    ],
    files: filesOf(etcd, settings),
    memberUpdate: step === 'enforce' ? memberUpdateOf(member) : undefined,
    target: step === 'enforce' ? 'enforced' : 'prepared',
    summary: [...settings].flatMap(([name, value]) =>
      effectiveSetting(etcd, name) === value ? [] : [`${name}=${value}`],
    ),
    problems: [
      ...refusals(etcd, step, member, input).map((message) => ({ component: 'etcd' as const, message })),
      ...guardTrust(etcd, [...settings.keys()], input),
    ],
    listenClientUrls: after('listen-client-urls'),
    turns: step === 'enforce' && !demanded,
  };
}

function slotsOf(
  etcd: DetectedEtcd,
  after: (name: string) => string,
  member: EtcdMember | undefined,
  { settings, detected, layout }: PlanInput,
): WishedSlot[] {
  const served = (name: string) =>
    servedNames(detected.certificates, below(layout, effectiveSetting(etcd, name)), componentFolder(layout, 'etcd'));
  const clientUrls = [after('listen-client-urls'), after('advertise-client-urls')];
  const peerUrls = [after('listen-peer-urls'), after('initial-advertise-peer-urls'), ...(member?.peerUrls ?? [])];
  return [
    { profile: 'etcd-server', file: 'server', ...etcdNames(clientUrls, settings, served('cert-file')) },
    { profile: 'etcd-peer', file: 'peer', ...etcdNames(peerUrls, settings, served('peer-cert-file')) },
    { profile: 'etcd-healthcheck-client', file: 'healthcheck-client', ...noNames },
  ];
}

/** A setting stays where it came from, a flag or a variable: both at once are fatal. New ones join the TLS and URL settings. */
function filesOf(etcd: DetectedEtcd, settings: ReadonlyMap<string, string>): WishedFile[] {
  const { unit, environmentFile, environmentFilePath } = etcd;
  const byFlag = [...urlSettings, ...settings.keys()].some((name) => etcd.settings.get(name)?.from === 'flag');
  const flags = new Map<string, FlagEdit>();
  const variables: string[] = [];
  for (const [name, value] of settings) {
    // an empty variable sets nothing, and yet etcd ends when its flag is there too
    const unset = byFlag && !unit.environment.has(etcdVariable(name)) ? 'flag' : 'environment';
    if ((etcd.settings.get(name)?.from ?? unset) === 'flag') flags.set(name, { set: value });
    else variables.push(`${etcdVariable(name)}=${quoteVariable(value)}`);
  }
  const place = { path: unit.files[0]?.path ?? '' };
  const dropIn = wishDropIn(unit, {
    ...(flags.size > 0 ? { command: rewriteCommand(unit.command, etcdDialect, flags, place) } : {}),
    ...(variables.length > 0 ? { environmentFile: environmentFilePath } : {}),
  });
  if (variables.length === 0) return dropIn;
  const text = `${[header, ...variables].join('\n')}\n`;
  return [wishFile(environmentFilePath, environmentFile, text), ...dropIn];
}

/** systemd.exec(5), EnvironmentFile=: double quotes with a backslash before what has a meaning in them. */
function quoteVariable(value: string): string {
  if (value.includes('\n')) throw new AppError('invalid-request', 'a setting of etcd holds a line break: correct it');
  return /^[\w\-./:,=@+[\]%]*$/.test(value) ? value : `"${value.replace(/["\\`$]/g, '\\$&')}"`;
}

function memberUpdateOf(member: EtcdMember | undefined): MemberUpdate | undefined {
  if (member === undefined || allSecure(member.peerUrls.join(','))) return undefined;
  return { memberId: member.id, before: member.peerUrls, after: member.peerUrls.map(secureUrl) };
}

function refusals(
  etcd: DetectedEtcd,
  step: 'prepare' | 'enforce',
  member: EtcdMember | undefined,
  { etcdCluster }: PlanInput,
): string[] {
  const refused: string[] = [];
  for (const name of ['auto-tls', 'peer-auto-tls']) {
    if (isOn(effectiveSetting(etcd, name))) refused.push(`--${name} makes etcd sign its own certificates: remove it`);
  }
  for (const name of ['client-cert-allowed-hostname', 'peer-cert-allowed-hostname', 'peer-cert-allowed-cn']) {
    if (effectiveSetting(etcd, name) !== '') refused.push(`--${name} may refuse the new certificates: remove it`);
  }
  const peers = effectiveSetting(etcd, 'initial-advertise-peer-urls');
  if (step === 'enforce' && !allSecure(peers) && member === undefined) {
    refused.push('etcd does not tell its members, so its peer URLs cannot be changed: make it healthy first');
  }
  const alone = etcdCluster?.members.length === 1;
  if (anySecure(peers) && effectiveSetting(etcd, 'peer-trusted-ca-file') === '' && !alone) {
    refused.push(
      'peers speak TLS without --peer-trusted-ca-file, so it cannot be told whom they trust: set it on every member',
    );
  }
  return refused;
}
