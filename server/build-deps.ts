/** Everything that requests need, built by hand, once. */
import type { Log } from '../common/log/log.ts';
import type { Clock } from '../common/time/clock.ts';
import { version } from '../common/version.ts';
import type { ChangingAuthorities } from './authority/authorities.ts';
import { bootstrapEndpoint, fleetEndpoint, type ServerConfig } from './config/server-config.ts';
import { createTurns } from './enrol/in-turn.ts';
import { authorityViews } from './fleet/authority-views.ts';
import { FleetState } from './fleet/fleet-state.ts';
import { removeNode } from './fleet/remove-node.ts';
import { resolveHere } from './peers/shared-endpoints.ts';
import { createCoordinator } from './permit/coordinator.ts';
import { pauseRollout, type Stop } from './rollout/rollout.ts';
import { type By, createRotation } from './rotation/rotation.ts';
import { loadKubeletLatch } from './session/kubelet-latch.ts';
import { Sessions } from './session/sessions.ts';
import { createPresence } from './session/watch-silence.ts';
import type { Store } from './store/store.ts';

/** What the process brings. */
export interface Ground {
  config: ServerConfig;
  authorities: ChangingAuthorities;
  store: Store;
  clock: Clock;
  log: Log;
}

/** How often agents say that they live. */
export const HEARTBEAT_MS = 10_000;

/** All rooms of the server, connected. */
export type ServerDeps = Awaited<ReturnType<typeof buildDeps>>;

/** Builds them; reads from the store what was known before. */
export async function buildDeps(ground: Ground) {
  const { config, authorities, store, clock, log } = ground;
  const fleet = await FleetState.load(store, clock);
  const latch = await loadKubeletLatch({ store, clock, mode: config.verifyKubelets, nodes: config.cluster.nodes });
  const { cluster } = config;
  const sessions = new Sessions({
    ...{ store, clock, fleet, latch },
    config: { heartbeatMs: HEARTBEAT_MS, cluster },
    trust: () => ({
      generation: rotation.generation(),
      issuesEtcdLeaves: authorities.issuingPin('etcd') !== '',
      kubeletsCanComeFirst: authorities.imported('kubernetes') && authorities.phase('kubernetes') === 'settled',
    }),
  });
  const isOnline = (node: string) => sessions.isOnline(node);
  const surveyed = (node: string) => sessions.get(node)?.surveyed;
  const components = () => fleet.components(isOnline);
  const grants = await store.listGrants();
  const permits = createCoordinator({ store, clock, components, grants, ...config.permits });
  const pushSettings = () => sessions.pushSettings();
  const rotation = createRotation({ store, authorities, clock, log, components, isOnline, surveyed, pushSettings });
  const inTurn = createTurns();
  const removal = { store, fleet, sessions, permits, rotation, pushSettings, inTurn };
  return {
    ...ground,
    inTurn,
    fleet,
    sessions,
    components,
    permits,
    rotation,
    pushSettings,
    heartbeatMs: HEARTBEAT_MS,
    presence: createPresence({ store, clock, sessions, heartbeatMs: HEARTBEAT_MS }),
    pause: (stop: Stop) => pauseRollout(stop, { store, clock, permits, pushSettings }),
    removeNode: (name: string, by: By) => removeNode(name, by, removal),
    ask: sessions.ask.bind(sessions),
    serverMs: sessions.serverMs,
    watchMs: config.peers.watchMs,
    apiEndpoint: cluster.apiEndpoint,
    resolve: resolveHere,
    underWay: new Set<string>(),
    cluster: cluster.name,
    trustDomain: cluster.name,
    version,
    authorityViews: () => authorityViews(authorities),
    bootstrapEndpoint: bootstrapEndpoint(config),
    fleetEndpoint: fleetEndpoint(config),
    fleetPin: authorities.certificate('fleet').publicKeyPin,
  };
}
