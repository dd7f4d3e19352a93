/** A reconciler with a fake clock, a real plan and a rotate that does as a test says. */
import type { TestContext } from 'node:test';
import { silentLog } from '../../common/log/log.ts';
import type { Component } from '../../common/names/names.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { Change } from '../plan/change.ts';
import { FakeCluster } from '../plan/fake-cluster.ts';
import type { AgentSettings, FailedChange, KeptFile } from '../report/agent-state.ts';
import { StatusBoard } from '../report/status-board.ts';
import type { RotateOutcome } from '../rotate.ts';
import { Reconciler, type ReconcilerDeps } from './reconciler.ts';
import type { Recovery } from './recover-node.ts';

/** Pause between two passes that nothing else causes. */
export const INTERVAL_MS = 300_000;
/** How a change ends that failed its verification. */
export const undone: RotateOutcome = { outcome: 'undone', reason: 'nobody trusts it' };

/** The reconciler of a control plane node whose etcd and API server have no certificates of ours yet. */
export async function begin(test: TestContext, make = FakeCluster.controlPlane) {
  const cluster = await make();
  test.after(() => cluster.remove());
  const clock = new FakeClock();
  const board = new StatusBoard(() => clock.nowMs());
  const state = {
    outcome: async (change: Change): Promise<RotateOutcome> => {
      await cluster.apply({ changes: [change], problems: [] });
      return { outcome: 'kept' };
    },
    recovery: async (): Promise<Recovery> => ({ whole: true, judged: [] }),
    settings: {
      ...{
        generation: 1,
        heartbeatMs: 10_000,
        node: cluster.settings,
        rolloutPaused: false,
        retryGeneration: 1,
        trustGeneration: 0,
      },
    } as AgentSettings | undefined, // absent in some tests
    looks: 0,
    recoveries: 0,
    remembered: 0,
    failVerification: false,
  };
  const failed: FailedChange[] = [];
  const kept: KeptFile[] = [];
  const made: Component[][] = [];
  const verified: Component[] = [];
  const surveys: { trustGeneration: number; found: Component[] }[] = [];
  const deps: ReconcilerDeps = {
    clock,
    board,
    failed,
    kept,
    log: silentLog,
    mode: 'enforce',
    intervalMs: INTERVAL_MS,
    settings: () => state.settings,
    recover: async () => {
      state.recoveries++;
      return state.recovery();
    },
    look: async () => {
      state.looks++;
      return cluster.input();
    },
    keepOverwritten: async () => [],
    rotate: async (change) => {
      made.push(change.components.map(({ component }) => component));
      return state.outcome(change);
    },
    verify: async (_, { component }) => {
      verified.push(component);
      board.set(component, { state: state.failVerification ? 'degraded' : 'verified' });
    },
    onLook: () => {},
    onSurveyed: (trustGeneration) =>
      void surveys.push({ trustGeneration, found: board.all().map((each) => each.component) }),
    remember: async () => {
      state.remembered++;
    },
  };
  const stop = new AbortController();
  const reconciler = new Reconciler(deps);
  const pass = (again = false) => reconciler.pass(stop.signal, again);
  return { cluster, clock, board, state, failed, kept, made, verified, surveys, deps, stop, reconciler, pass };
}
