/** The fleet on one page. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Clock } from '../../common/time/clock.ts';
import type { GetFleetStatusResponseSchema } from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import { ComponentState } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { ChangingAuthorities } from '../authority/authorities.ts';
import type { ServerConfig } from '../config/server-config.ts';
import type { Coordinator } from '../permit/coordinator.ts';
import { countStops } from '../rollout/count-stops.ts';
import { showRollout } from '../rollout/rollout.ts';
import { type AuthorityView, authoritySummary, type FleetDeps, lastSeenMs, nodeSummary, skewMs } from './summaries.ts';
import { warningsOf } from './warnings.ts';

/** What the page needs. */
export interface FleetStatusDeps extends FleetDeps {
  clock: Clock;
  permits: Pick<Coordinator, 'list'>;
  authorityViews: () => AuthorityView[];
  authorities: Pick<ChangingAuthorities, 'record'>;
  cluster: string;
  version: string;
  config: Pick<ServerConfig, 'lifetimes' | 'permits'>;
}

/** Answers GetFleetStatus. Revoked nodes are left out; ListNodes shows them. */
export async function getFleetStatus(
  deps: FleetStatusDeps,
): Promise<MessageInitShape<typeof GetFleetStatusResponseSchema>> {
  const nodes = (await deps.store.listNodes()).filter((node) => !node.revoked);
  const authorities = deps.authorityViews();
  const statuses = nodes.flatMap((node) => deps.fleet.statusesOf(node.name));
  const watched = nodes.map((node) => ({
    node,
    online: deps.sessions.get(node.name) !== undefined,
    lastSeenAtMs: lastSeenMs(node, deps),
    skewMs: skewMs(node, deps),
    statuses: deps.fleet.statusesOf(node.name),
  }));
  const nowMs = deps.clock.nowMs();
  return {
    cluster: deps.cluster,
    serverVersion: deps.version,
    serverTime: timestampFromMs(nowMs),
    nodesTotal: nodes.length,
    nodesOnline: watched.filter((it) => it.online).length,
    componentsTotal: statuses.length,
    componentsVerified: statuses.filter((status) => status.state === ComponentState.VERIFIED).length,
    nodes: nodes.map((node) => nodeSummary(node, deps)),
    authorities: authorities.map(authoritySummary),
    rollout: await showRollout(deps),
    warnings: warningsOf({
      nowMs,
      nodes: watched,
      authorities,
      rollout: await deps.store.getRollout(),
      phase: deps.authorities.record().phase,
      lifetimes: deps.config.lifetimes,
      permits: deps.permits.list(),
      maxAgeMs: deps.config.permits.maxAgeMs,
      stops: await countStops(deps.store, nowMs),
    }),
  };
}
