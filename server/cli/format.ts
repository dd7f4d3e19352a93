/** Values of the API as an operator reads them. */
import { type Duration, durationMs, type Timestamp, timestampMs } from '@bufbuild/protobuf/wkt';
import { formatDuration } from '../../common/config/duration.ts';
import {
  checkKinds,
  checkResults,
  componentStates,
  components,
  evidenceRanks,
  roles,
} from '../../common/names/names.ts';
import type { NodeSummary } from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import type {
  CheckKind,
  CheckResult,
  Component,
  ComponentState,
  EvidenceRank,
  NodeRole,
} from '../../proto/gen/kubemtls/v1/types_pb.js';

/** "2026-03-01 12:00:00Z", or "-". */
export function time(timestamp: Timestamp | undefined): string {
  if (timestamp === undefined) return '-';
  return new Date(timestampMs(timestamp))
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
}

/** "in 29d", "3h ago", from two moments; the largest unit only. */
export function fromNow(timestamp: Timestamp | undefined, nowMs: number): string {
  if (timestamp === undefined) return '-';
  const ms = timestampMs(timestamp) - nowMs;
  const text = /^\d+[a-z]+/.exec(formatDuration(Math.abs(ms) < 1000 ? 0 : Math.abs(ms)))?.[0] ?? '0s';
  return ms < 0 ? `${text} ago` : `in ${text}`;
}

/** "+1500 ms", or "-". */
export function skew(duration: Duration | undefined): string {
  if (duration === undefined) return '-';
  const ms = Math.round(durationMs(duration));
  return `${ms < 0 ? '' : '+'}${ms} ms`;
}

export const roleText = (role: NodeRole): string => roles.toWord(role) ?? '-';
export const componentText = (component: Component): string => components.toWord(component) ?? '-';
export const stateText = (state: ComponentState): string => (componentStates.toWord(state) ?? '-').toUpperCase();
export const kindText = (kind: CheckKind): string => checkKinds.toWord(kind) ?? '-';
export const resultText = (result: CheckResult): string => (checkResults.toWord(result) ?? '-').toUpperCase();

/** How much a line of evidence proves; '-' when an earlier version wrote it. */
export const rankText = (rank: EvidenceRank): string => evidenceRanks.toWord(rank) ?? '-';

/** Rows of the fleet table: a line per component, the node's own fields on its first. */
export function nodeRows(nodes: readonly NodeSummary[], nowMs: number): string[][] {
  return nodes.flatMap((node) => {
    const seen = `seen ${fromNow(node.lastSeenAt, nowMs)}`;
    const online = node.removed ? `removed, ${seen}` : node.online ? 'yes' : `no, ${seen}`;
    const own = [node.name, roleText(node.role), node.addresses.join(','), online, fromNow(node.nextExpiry, nowMs)];
    const lines = node.components.map((it) => [componentText(it.component), stateText(it.state), it.reason]);
    const [first = ['-', '-', ''], ...more] = lines;
    return [[...own, ...first], ...more.map((line) => ['', '', '', '', '', ...line])];
  });
}

/** Headings of nodeRows. */
export const NODE_HEADINGS = [
  'NODE',
  'ROLE',
  'ADDRESSES',
  'ONLINE',
  'EXPIRES',
  'COMPONENT',
  'STATE',
  'REASON',
] as const;
