/** Whether a phase of a change of roots is complete on every node, from what their agents report. Pure. */
import { authorities, type Component, profiles } from '../../common/names/names.ts';
import type { ComponentStatus, ComponentTrust } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { ClusterAuthority } from '../authority/import-authority.ts';
import { PROBES } from '../authority/known-authorities.ts';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import { profileRules } from '../policy/profiles.ts';

/** An authority whose root changes. */
export interface ChangingRoot {
  authority: ClusterAuthority;
  newPin: string;
  /** Roots that nobody shall trust any more, from the phase drop on. */
  retiredPins: readonly string[];
}

/** What is looked at. */
export interface CompletionInput {
  phase: 'trust' | 'reissue' | 'drop';
  roots: readonly ChangingRoot[];
  components: readonly FleetComponent[];
  /** All nodes that count, also those that never reported a component; whether their agents looked at them in this phase. */
  nodes: readonly { name: string; online: boolean; surveyed: boolean }[];
}

/** Who trusts an authority and holds its certificates. */
const USERS: Record<ClusterAuthority, ReadonlySet<Component>> = {
  kubernetes: new Set<Component>([
    'kube-apiserver',
    'kube-controller-manager',
    'kube-scheduler',
    'kubelet',
    'kube-proxy',
    'admin',
  ]),
  etcd: new Set<Component>(['etcd', 'kube-apiserver']),
  'front-proxy': new Set<Component>(['kube-apiserver']),
};

/** Those that show client certificates by client-go; etcd's go library reads them at each handshake, and asks nothing of a connection that stands. */
const CALLERS: ReadonlySet<Component> = new Set<Component>([
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
]);
const SHOWN_MS = 5.5 * 60_000;

const MOST_SENTENCES = 20;
const SEE_LOG = 'if it stays so, see journalctl -u kube-mtls-agent there';
const START_AGENT = 'start its agent (systemctl start kube-mtls-agent)';

/** What the phase waits for, a sentence each by node; empty when it is complete. */
export function waitingFor(input: CompletionInput): string[] {
  const { nodes, components, roots } = input;
  if (nodes.length === 0) return ['no node has joined yet: join the nodes of the cluster first'];
  const byNode = Map.groupBy(components, ({ node }) => node);
  return nodes.flatMap(({ name, online, surveyed }) => {
    const own = byNode.get(name) ?? [];
    const concerned = own.filter((row) => roots.some((root) => uses(row, root.authority, components)));
    if (online) {
      const sentences = concerned.flatMap((row) => ofComponent(row, input)).map((sentence) => `${name}: ${sentence}`);
      // what its agent has not looked at yet may be what trusts the old CA alone
      if (sentences.length > 0 || surveyed) return sentences;
      return [`${name}: its agent has not looked at the whole node in this phase yet; ${SEE_LOG}`];
    }
    if (own.length === 0) return [`${name}: it is not connected and never said what runs there; ${START_AGENT}`];
    if (concerned.length === 0) return [];
    const what = concerned.map((row) => row.component).join(', ');
    return [`${name}: it is not connected, so that nobody knows how its ${what} stands; ${START_AGENT}`];
  });
}

/**
 * What must not be given up with the new CA yet, a sentence each by node: certificates of it that are in use, or may be shown still. The
 * agents' own certificates for checks do not count: nobody else reads them. Empty when nothing is in the way.
 */
export function heldByNew({ roots, components }: Pick<CompletionInput, 'roots' | 'components'>): string[] {
  return components.flatMap((row) => {
    const own = roots.filter((root) => uses(row, root.authority, components));
    const held = own.flatMap(({ authority, newPin }) =>
      row.status.certificates.flatMap(({ profile, issuerPin }) => {
        const word = profiles.toWord(profile);
        if (word === undefined || PROBES.has(word) || profileRules[word].authority !== authority) return [];
        return issuerPin === newPin ? [`${word} comes from the new ${authority} CA`] : [];
      }),
    );
    const shown = own.length === 0 ? [] : showsOld(row);
    const changing = own.length > 0 && (row.state === 'applying' || row.state === 'verifying') ? unsteady(row) : [];
    return [...held, ...shown, ...changing].map((sentence) => `${row.node}: ${sentence}`);
  });
}

/** So many sentences that a person reads them, and how many more there are. */
export function shortened(sentences: readonly string[]): string[] {
  const rest = sentences.length - MOST_SENTENCES;
  return rest > 0 ? [...sentences.slice(0, MOST_SENTENCES), `and ${rest} more`] : [...sentences];
}

function ofComponent(row: FleetComponent, { phase, roots, components }: CompletionInput): string[] {
  const { component, status } = row;
  const own = roots.filter((root) => uses(row, root.authority, components));
  switch (phase) {
    case 'trust': {
      const missing = own.filter((root) => !trustedPins(status, root).includes(root.newPin));
      const sentences = missing.map((root) => `${component} does not trust the new ${root.authority} CA yet`);
      return [...sentences, ...(missing.length > 0 ? unverified(row) : unsteady(row))]; // why it does not yet
    }
    case 'reissue':
      return [...own.flatMap((root) => foreignCertificates(row, root)), ...unverified(row), ...showsOld(row)];
    case 'drop': {
      const holding = own.filter((root) => trustedPins(status, root).some((pin) => root.retiredPins.includes(pin)));
      const sentences = holding.map((root) => `${component} trusts the retired ${root.authority} CA still`);
      return [...sentences, ...unverified(row)];
    }
  }
}

/** A plaintext etcd trusts nobody, and neither does an API server that it is the etcd of. */
function uses(row: FleetComponent, authority: ClusterAuthority, all: readonly FleetComponent[]): boolean {
  if (authority === 'etcd' && row.component === 'etcd' && isPlaintext(row)) return false;
  if (trustOf(row.status, authority).some((trust) => trust.rootPins.length > 0)) return true;
  if (!USERS[authority].has(row.component)) return false;
  return authority !== 'etcd' || all.some((each) => each.component === 'etcd' && !isPlaintext(each));
}

function isPlaintext({ status }: FleetComponent): boolean {
  return status.etcd?.plaintext === true;
}

/** In the phase trust a component that waits for the next phase is pending; only what may change yet does not count. */
function unsteady({ component, state, status }: FleetComponent): string[] {
  switch (state) {
    case 'applying':
    case 'verifying':
      return [`${component} is being changed (${state})`];
    case 'waiting-for-permit':
    case 'failed':
    case 'rolled-back':
      return [because(component, state, status)];
    default:
      return [];
  }
}

function unverified(row: FleetComponent): string[] {
  const { component, state, status } = row;
  if (state === 'verified') return [];
  const changing = unsteady(row);
  return changing.length > 0 ? changing : [because(component, state, status)];
}

/**
 * What a process shows to those that it calls no handshake of ours can see. client-go looks at its files at a dial and every five
 * minutes, and then ends the connections of the old certificate (kubernetes@a493c8da9, CertCallbackRefreshDuration).
 */
function showsOld({ component, liveAgoMs }: FleetComponent): string[] {
  const leftMs = SHOWN_MS - (liveAgoMs ?? Number.POSITIVE_INFINITY);
  if (!CALLERS.has(component) || leftMs <= 0) return [];
  return [`${component} may show the old certificate where it calls for ${Math.ceil(leftMs / 1000)} s more`];
}

function because(component: Component, state: string, { reason }: ComponentStatus): string {
  return reason === '' ? `${component} is ${state}` : `${component} is ${state}: ${reason.slice(0, 300)}`;
}

function foreignCertificates({ status }: FleetComponent, { authority, newPin }: ChangingRoot): string[] {
  return status.certificates.flatMap((certificate) => {
    const profile = profiles.toWord(certificate.profile);
    if (profile === undefined || profileRules[profile].authority !== authority) return [];
    return certificate.issuerPin === newPin ? [] : [`${profile} does not come from the new ${authority} CA yet`];
  });
}

function trustedPins(status: ComponentStatus, { authority }: ChangingRoot): string[] {
  return trustOf(status, authority).flatMap((trust) => trust.rootPins);
}

function trustOf(status: ComponentStatus, authority: ClusterAuthority): ComponentTrust[] {
  return status.trust.filter((trust) => authorities.toWord(trust.authority) === authority);
}
