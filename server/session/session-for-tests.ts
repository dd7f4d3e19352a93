/** A server's sessions with a store of three nodes, for tests that talk to them as agents do. */
import type { TestContext } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { FleetState } from '../fleet/fleet-state.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import { sampleIntent, sampleNode } from '../store/store-contract.ts';
import { FakeAgent, settle } from './fake-agent-for-tests.ts';
import { loadKubeletLatch } from './kubelet-latch.ts';
import type { ServeSessionDeps } from './serve-session.ts';
import { Sessions } from './sessions.ts';
import { createPresence } from './watch-silence.ts';

/** How often agents are to be heard of. */
export const HEARTBEAT_MS = 10_000;

/** Sessions of the enrolled nodes cp1, cp2 and w1, none of them connected yet; closed when the test is over. */
export async function begin(test: TestContext) {
  const clock = new FakeClock();
  const store = openSqliteStore(':memory:', clock);
  const agents: FakeAgent[] = [];
  test.after(async () => {
    for (const agent of agents) agent.close();
    await settle();
    await store.close();
  });
  for (const name of ['cp1', 'cp2', 'w1']) {
    const role = name === 'w1' ? 'worker' : 'control-plane';
    await store.enrol({
      node: sampleNode({ name, role, identityPin: name, lastSeenAtMs: clock.nowMs() }),
      useToken: undefined,
    });
  }
  const fleet = await FleetState.load(store, clock);
  const cluster = { name: 'c', apiEndpoint: 'api:6443', serviceAddress: '10.96.0.1', dnsDomain: 'cluster.local' };
  const latch = await loadKubeletLatch({ store, clock, mode: 'auto', nodes: undefined });
  const trust = () => ({ generation: 0n, issuesEtcdLeaves: true, kubeletsCanComeFirst: true });
  const sessions = new Sessions({ store, clock, fleet, latch, trust, config: { heartbeatMs: HEARTBEAT_MS, cluster } });
  const presence = createPresence({ store, clock, sessions, heartbeatMs: HEARTBEAT_MS });
  const renewed: string[] = [];
  /** Counts how often the change of roots was asked whether it can go on. */
  const rotation = { checks: 0, check: async () => void rotation.checks++ };
  const deps: ServeSessionDeps = {
    store,
    clock,
    fleet,
    sessions,
    presence,
    permits: { renew: async (node, id) => void renewed.push(`${node} ${id}`), stopsRollout: async () => true },
    rotation,
    pause: async ({ reason, node }) =>
      store.putRollout({ paused: true, reason, node, pausedAtMs: 1, retryGeneration: 0, leftOut: [] }),
  };
  const connect = (node: string): FakeAgent => {
    const agent = new FakeAgent(node, deps);
    agents.push(agent);
    return agent;
  };
  const issue = async (holder: string, serial: string): Promise<void> => {
    await store.recordIntents([sampleIntent({ holder, serial, publicKeyPin: `${holder} ${serial}` })]);
  };
  /** Kinds of the events that the store has of this kind, the oldest first. */
  const kinds = async (kind: string, node?: string): Promise<string[]> => {
    const filter = node === undefined ? { kind } : { kind, node };
    const { rows } = await store.listEvents(filter, { size: 100, after: undefined });
    return rows.map((it) => it.kind).reverse();
  };
  return { clock, store, sessions, presence, deps, rotation, renewed, connect, issue, kinds };
}
