/** What wants an operator's attention, one sentence each, the worst first. */
import { type Timestamp, timestampMs } from '@bufbuild/protobuf/wkt';
import { formatDuration } from '../../common/config/duration.ts';
import { componentStates, components, profiles, type RotationPhase } from '../../common/names/names.ts';
import type { ComponentStatus } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { ServerConfig } from '../config/server-config.ts';
import type { HeldPermit } from '../permit/permit.ts';
import type { NodeRecord, RolloutRecord } from '../store/store.ts';
import type { AuthorityView } from './summaries.ts';

/** A node as warnings look at it. */
export interface WatchedNode {
  node: NodeRecord;
  online: boolean;
  lastSeenAtMs: number;
  skewMs: number | undefined;
  statuses: readonly ComponentStatus[];
}

/** All that warnings come from. */
export interface WarningsInput {
  nowMs: number;
  nodes: readonly WatchedNode[];
  authorities: readonly AuthorityView[];
  rollout: RolloutRecord;
  /** Of the change of roots; 'settled' when none is under way. */
  phase: RotationPhase;
  permits: readonly Pick<HeldPermit, 'node' | 'components' | 'sinceMs' | 'ageMs'>[];
  /** The age from which a permit gives its place in the share of kubelets free. */
  maxAgeMs: number;
  /** How often failures of each node stopped the rollout within a day. */
  stops: ReadonlyMap<string, number>;
  /** How long certificates live: one that renews itself is worth a warning only when its renewal is overdue. */
  lifetimes: Pick<ServerConfig['lifetimes'], 'componentsMs' | 'profilesMs' | 'identityMs'>;
}

const DAY_MS = 86_400_000;
const STEPS_DAYS = [1, 7, 14, 30] as const;
const MOST_SKEW_MS = 60_000;
const MOST_WARNINGS = 200;
/** A change takes a few minutes. */
const OLD_PERMIT_MS = 10 * 60_000;
/** One failure may be anybody's; two within a day are worth a look at the node. */
const MANY_STOPS = 2;

/** The sentences, at most 200. */
export function warningsOf(input: WarningsInput): string[] {
  const { nowMs, rollout } = input;
  const nodes = input.nodes.filter((it) => !it.node.revoked);
  const all = [
    ...(rollout.paused ? [pausedSince(input)] : []),
    ...rollout.leftOut.map(
      (name) => `${name} is left out of the rollout; "kube-mtls rollout resume --let-in ${name}" ends that`,
    ),
    ...nodes.flatMap((it) => oftenStopped(it, input)),
    ...input.permits.flatMap((it) => heldLong(it, input)),
    ...nodes.flatMap(failures),
    ...nodes.flatMap((it) => (it.online ? [] : [`${it.node.name} is not connected since ${iso(it.lastSeenAtMs)}`])),
    ...input.authorities.flatMap((it) => ending(`the ${it.authority} CA`, it.notAfterMs, nowMs)),
    ...nodes.flatMap((it) => endings(it, input)),
    ...nodes.flatMap(skew),
  ];
  const rest = all.length - MOST_WARNINGS;
  return rest > 0 ? [...all.slice(0, MOST_WARNINGS), `and ${rest} more`] : all;
}

/** A change of roots that cannot go on is not the only way on. */
function pausedSince({ rollout, phase }: WarningsInput): string {
  const text = `the rollout is paused since ${iso(rollout.pausedAtMs)}: ${rollout.reason}`;
  if (phase !== 'trust' && phase !== 'reissue') return text;
  return `${text}; the change of roots waits for it in ${phase}: "kube-mtls rollout resume" tries again, "kube-mtls authority abort" takes it back`;
}

function oftenStopped({ node }: WatchedNode, { stops }: WarningsInput): string[] {
  const count = stops.get(node.name) ?? 0;
  if (count < MANY_STOPS) return [];
  const text = `failures on ${node.name} stopped the rollout ${count} times within a day`;
  return [`${text}; "kube-mtls rollout resume --without ${node.name}" goes on without it`];
}

function heldLong(
  { node, components: held, sinceMs, ageMs }: WarningsInput['permits'][number],
  { maxAgeMs }: WarningsInput,
): string[] {
  if (ageMs < OLD_PERMIT_MS && ageMs < maxAgeMs) return [];
  const what = `${node} holds its permit for ${held.join(', ')} since ${iso(sinceMs)}`;
  if (ageMs < maxAgeMs) return [what];
  return [`${what}, beyond the greatest age of ${formatDuration(maxAgeMs)}: look at it, or take it out of the fleet`];
}

function failures({ node, statuses }: WatchedNode): string[] {
  return statuses.flatMap((status) => {
    const state = componentStates.toWord(status.state);
    if (state !== 'failed' && state !== 'degraded' && state !== 'rolled-back') return [];
    return [`${components.toWord(status.component)} on ${node.name} is ${state}: ${status.reason}`];
  });
}

function endings({ node, statuses }: WatchedNode, { nowMs, lifetimes }: WarningsInput): string[] {
  const used = statuses.flatMap((status) =>
    status.certificates.flatMap((it) => {
      const profile = profiles.toWord(it.profile);
      const lifetimeMs = (profile && lifetimes.profilesMs[profile]) ?? lifetimes.componentsMs;
      const what = profile ?? `a certificate of ${components.toWord(status.component)}`;
      return overdue(`${what} of ${node.name}`, msOf(it.notAfter), lifetimeMs, nowMs);
    }),
  );
  return [...overdue(`the identity of ${node.name}`, node.identityNotAfterMs, lifetimes.identityMs, nowMs), ...used];
}

/** Renewal begins with a third of the life left; with a quarter left it has failed for a while. */
function overdue(what: string, notAfterMs: number | undefined, lifetimeMs: number, nowMs: number): string[] {
  const early = notAfterMs !== undefined && notAfterMs - nowMs > lifetimeMs / 4;
  return early ? [] : ending(what, notAfterMs, nowMs);
}

function ending(what: string, notAfterMs: number | undefined, nowMs: number): string[] {
  if (notAfterMs === undefined) return [];
  if (notAfterMs <= nowMs) return [`${what} ended at ${iso(notAfterMs)}`];
  const days = STEPS_DAYS.find((step) => notAfterMs - nowMs <= step * DAY_MS);
  if (days === undefined) return [];
  return [`${what} ends within ${days === 1 ? 'a day' : `${days} days`}, at ${iso(notAfterMs)}`];
}

function skew({ node, skewMs }: WatchedNode): string[] {
  if (skewMs === undefined || Math.abs(skewMs) <= MOST_SKEW_MS) return [];
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  return [`the clock of ${node.name} is ${seconds} s ${skewMs > 0 ? 'ahead' : 'behind'}; set up time synchronization`];
}

function msOf(timestamp: Timestamp | undefined): number | undefined {
  return timestamp === undefined ? undefined : timestampMs(timestamp);
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
