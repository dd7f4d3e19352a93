/** The settings that an etcd member shall have, by flag name (etcd 3.4 to 3.6, server/etcdmain and embed/config.go). */
import type { DetectedEtcd } from '../detect/detected.ts';
import { allSecure, anySecure, secureUrl, secureUrls, splitUrls } from './etcd-urls.ts';
import type { EtcdMember } from './plan-input.ts';

/** How far a member goes, and what is known of it. */
export interface EtcdGoal {
  step: 'prepare' | 'enforce';
  /** The member as the cluster lists it, when it answered. */
  member: EtcdMember | undefined;
  /** Path of a file in the component's folder, as etcd reads it. */
  file(name: string): string;
}

/** Defaults of etcd for settings that nobody gave. */
const defaults: ReadonlyMap<string, string> = new Map([
  ['name', 'default'],
  ['listen-client-urls', 'http://localhost:2379'],
  ['advertise-client-urls', 'http://localhost:2379'],
  ['listen-peer-urls', 'http://localhost:2380'],
  ['initial-advertise-peer-urls', 'http://localhost:2380'],
]);

/** The settings whose URLs change their scheme; listen-client-http-urls (3.5.10 and later) serves the JSON gateway in place of the first. */
export const urlSettings = [
  'listen-client-urls',
  'listen-client-http-urls',
  'advertise-client-urls',
  'listen-peer-urls',
  'initial-advertise-peer-urls',
] as const;

/** A setting without our drop-in, or etcd's default, or ''. */
function baseSetting(etcd: DetectedEtcd, name: string): string {
  return etcd.settings.get(name)?.value ?? defaults.get(name) ?? '';
}

/** A setting as it is in force, or etcd's default, or ''. */
export function effectiveSetting(etcd: DetectedEtcd, name: string): string {
  return etcd.effectiveSettings.get(name)?.value ?? defaults.get(name) ?? '';
}

/** A switch as Go's flag package reads it (strconv.ParseBool). */
export function isOn(value: string): boolean {
  return ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value);
}

/** True when clients and peers have to bring certificates already, so that no step leads back from there. */
export function isEnforced(etcd: DetectedEtcd): boolean {
  const on = (name: string) => isOn(effectiveSetting(etcd, name));
  return (
    on('client-cert-auth') &&
    on('peer-client-cert-auth') &&
    urlSettings.every((name) => allSecure(effectiveSetting(etcd, name)))
  );
}

/** True when clients of etcd have to bring a certificate now: etcd demands one once it has a trusted CA file (pkg/transport). */
export function demandsClients(etcd: DetectedEtcd): boolean {
  return servesClientsByTls(etcd) && trustsClients(etcd, '');
}

/** True when any listener for clients speaks TLS. */
export function servesClientsByTls(etcd: DetectedEtcd): boolean {
  return anySecure(clientListeners((name) => effectiveSetting(etcd, name)));
}

/** URLs at which it listens for clients, by settings that are in force or will be. */
export function clientListeners(setting: (name: string) => string): string {
  return `${setting('listen-client-urls')},${setting('listen-client-http-urls')}`;
}

/** True when peers have to bring a certificate now. */
function demandsPeers(etcd: DetectedEtcd): boolean {
  return anySecure(effectiveSetting(etcd, 'listen-peer-urls')) && trustsClients(etcd, 'peer-');
}

/** True when the member serves clients or peers over TLS, or is dialled so by peers. */
export function speaksTls(etcd: DetectedEtcd): boolean {
  return urlSettings.some((name) => anySecure(effectiveSetting(etcd, name)));
}

/**
 * The settings that name roots, where roots are in use: a listener that does not ask for certificates is not made to ask.
 *
 * @param file as in an EtcdGoal
 */
export function trustSettings(etcd: DetectedEtcd, file: EtcdGoal['file']): Map<string, string> {
  return new Map([
    ...(demandsClients(etcd) ? [['trusted-ca-file', file('client-ca.crt')] as const] : []),
    ...(demandsPeers(etcd) ? [['peer-trusted-ca-file', file('peer-ca.crt')] as const] : []),
  ]);
}

/**
 * The settings that are ours, each with its value. With 'prepare' listeners stay as they are, and so does what they demand: a
 * listener that speaks https without asking for certificates gets no trusted CA yet, since that alone would make it ask.
 */
export function etcdSettings(etcd: DetectedEtcd, goal: EtcdGoal): Map<string, string> {
  const { file } = goal;
  const enforce = goal.step === 'enforce';
  const asksClients = enforce || demandsClients(etcd) || !servesClientsByTls(etcd);
  const asksPeers = enforce || demandsPeers(etcd) || !anySecure(effectiveSetting(etcd, 'listen-peer-urls'));
  const settings = new Map([
    ['cert-file', file('server.crt')],
    ['key-file', file('server.key')],
    ...(asksClients ? [['trusted-ca-file', file('client-ca.crt')] as const] : []),
    ['peer-cert-file', file('peer.crt')],
    ['peer-key-file', file('peer.key')],
    ...(asksPeers ? [['peer-trusted-ca-file', file('peer-ca.crt')] as const] : []),
  ]);
  // of its own pairs for outgoing connections (3.5 and later) none keeps a certificate of another CA
  for (const [prefix, pair] of [
    ['client', 'server'],
    ['peer-client', 'peer'],
  ] as const) {
    if (baseSetting(etcd, `${prefix}-cert-file`) === '') continue;
    settings.set(`${prefix}-cert-file`, file(`${pair}.crt`));
    settings.set(`${prefix}-key-file`, file(`${pair}.key`));
  }
  if (!enforce) return settings;
  settings.set('client-cert-auth', 'true');
  settings.set('peer-client-cert-auth', 'true');
  for (const name of urlSettings) {
    const before = urlsBefore(etcd, name, goal.member);
    if (before === '') continue;
    // what nobody has to change is not written down twice
    if (!allSecure(before) || !etcd.settings.has(name)) settings.set(name, secureUrls(before));
  }
  const advertised = settings.get('initial-advertise-peer-urls') ?? baseSetting(etcd, 'initial-advertise-peer-urls');
  const cluster = initialCluster(etcd, advertised);
  if (cluster !== baseSetting(etcd, 'initial-cluster')) settings.set('initial-cluster', cluster);
  return settings;
}

/**
 * Peer URLs that nobody set are the live member's: etcd replaces its default by the host's address when it listens on all
 * (embed.Config.UpdateDefaultClusterFromName). What is in force comes first, so that a member that is down plans the same.
 */
function urlsBefore(etcd: DetectedEtcd, name: string, member: EtcdMember | undefined): string {
  const given = etcd.settings.get(name)?.value ?? etcd.effectiveSettings.get(name)?.value;
  if (given !== undefined) return given;
  const live = name === 'initial-advertise-peer-urls' ? (member?.peerUrls ?? []) : [];
  if (live.length > 0) return live.join(',');
  return defaults.get(name) ?? '';
}

/**
 * A member with data takes its peers from there and not from initial-cluster, but a start without data checks that this
 * member's entry is its advertised peer URLs. Entries of others belong to their own agents. Nobody's setting follows by
 * itself, except for the name "default", for which etcd keeps the http default.
 */
function initialCluster(etcd: DetectedEtcd, advertised: string): string {
  const name = baseSetting(etcd, 'name');
  const before = baseSetting(etcd, 'initial-cluster');
  if (before === '') {
    if (name !== 'default' || discovers(etcd)) return before;
    return splitUrls(advertised)
      .map((url) => `${name}=${url}`)
      .join(',');
  }
  return before
    .split(',')
    .map((entry) => {
      const at = entry.indexOf('=');
      return entry.slice(0, at).trim() === name
        ? `${entry.slice(0, at + 1)}${secureUrl(entry.slice(at + 1).trim())}`
        : entry;
    })
    .join(',');
}

function discovers(etcd: DetectedEtcd): boolean {
  return ['discovery', 'discovery-srv', 'discovery-endpoints'].some((name) => baseSetting(etcd, name) !== '');
}

function trustsClients(etcd: DetectedEtcd, prefix: '' | 'peer-'): boolean {
  const on = isOn(effectiveSetting(etcd, `${prefix}client-cert-auth`));
  return on || effectiveSetting(etcd, `${prefix}trusted-ca-file`) !== '';
}
