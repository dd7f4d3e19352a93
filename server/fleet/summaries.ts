/** Records of the store as operators see them. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Timestamp, timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { type Authority, authorities, modes, roles } from '../../common/names/names.ts';
import type { AuthoritySummarySchema, NodeSummarySchema } from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import type { ComponentStatus } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { Session } from '../session/sessions.ts';
import type { NodeRecord, Store } from '../store/store.ts';
import type { FleetState } from './fleet-state.ts';

/** An authority as it is shown. */
export interface AuthorityView {
  authority: Authority;
  subject: string;
  serial: string;
  notAfterMs: number;
  imported: boolean;
  publicKeyPin: string;
}

/** What queries read. */
export interface FleetDeps {
  store: Store;
  fleet: FleetState;
  sessions: { get(node: string): Pick<Session, 'heardAtMs' | 'skewMs'> | undefined };
}

/** A row of the fleet table. */
export function nodeSummary(node: NodeRecord, deps: FleetDeps): MessageInitShape<typeof NodeSummarySchema> {
  const session = deps.sessions.get(node.name);
  const statuses = deps.fleet.statusesOf(node.name);
  return {
    name: node.name,
    role: roles.toNumber(node.role),
    addresses: node.addresses,
    online: session !== undefined,
    lastSeenAt: timestampFromMs(lastSeenMs(node, deps)),
    ...(node.mode === undefined ? {} : { mode: modes.toNumber(node.mode) }),
    agentVersion: node.agentVersion,
    components: statuses.map(({ component, state, reason }) => ({ component, state, reason })),
    nextExpiry: timestampFromMs(nextExpiryMs(node, statuses)),
    removed: node.revoked,
  };
}

/** An authority in one line. */
export function authoritySummary(view: AuthorityView): MessageInitShape<typeof AuthoritySummarySchema> {
  const { authority, notAfterMs, ...rest } = view;
  return { ...rest, authority: authorities.toNumber(authority), notAfter: timestampFromMs(notAfterMs) };
}

/** When the node was heard of last: the record lags behind a live session. */
export function lastSeenMs(node: NodeRecord, deps: Pick<FleetDeps, 'sessions'>): number {
  return deps.sessions.get(node.name)?.heardAtMs ?? node.lastSeenAtMs;
}

/** Clock of the node less ours, when it was measured. */
export function skewMs(node: NodeRecord, deps: Pick<FleetDeps, 'sessions'>): number | undefined {
  return deps.sessions.get(node.name)?.skewMs ?? node.clockSkewMs;
}

function nextExpiryMs(node: NodeRecord, statuses: readonly ComponentStatus[]): number {
  const ends = statuses.flatMap((status) => status.certificates.flatMap((it) => msOf(it.notAfter)));
  return Math.min(node.identityNotAfterMs, ...ends);
}

function msOf(timestamp: Timestamp | undefined): number[] {
  return timestamp === undefined ? [] : [timestampMs(timestamp)];
}
