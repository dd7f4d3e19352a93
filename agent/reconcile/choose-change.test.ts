import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import type { Change } from '../plan/change.ts';
import { lifetimeMs, nowMs } from '../plan/fake-authorities.ts';
import { FakeCluster } from '../plan/fake-cluster.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { planNode } from '../plan/plan-node.ts';
import type { AgentSettings } from '../report/agent-state.ts';
import { chooseChange } from './choose-change.ts';

/** The kubelet's renewal on a worker that got its certificates so much later than another. */
async function renewal(test: TestContext, laterMs: number) {
  const cluster = await FakeCluster.worker();
  test.after(() => cluster.remove());
  cluster.nowMs = nowMs + laterMs;
  await cluster.apply(await cluster.plan());
  cluster.nowMs = nowMs + laterMs + lifetimeMs * 0.67;
  const input = await cluster.input();
  const [change = assert.fail('nothing is due')] = planNode(input).changes;
  return { input, change };
}

/** What is chosen of renewals of kube-proxy and kubelet, planned in this order. */
async function chosen(test: TestContext, takeUp: 'live' | 'restart', proxyLaterMs: number) {
  const { input, change } = await renewal(test, 0);
  const later = await renewal(test, proxyLaterMs);
  const of = (component: Component): Change => ({
    ...change,
    fingerprint: component,
    components: change.components.map((each) => ({ ...each, component, takeUp })),
  });
  const kubeletOf = ({ current }: PlanInput) =>
    current.find(({ component }) => component === 'kubelet') ?? assert.fail();
  const { certificates } = kubeletOf(later.input);
  const both: PlanInput = {
    ...input,
    current: [kubeletOf(input), { ...kubeletOf(input), component: 'kube-proxy', certificates }],
  };
  const settings: AgentSettings = {
    ...{ generation: 1, heartbeatMs: 10_000, node: input.settings },
    ...{ rolloutPaused: false, retryGeneration: 1, trustGeneration: 0 },
  };
  const plan = { changes: [of('kube-proxy'), of('kubelet')], problems: [] };
  const choosing = { failed: [], tried: new Set<string>(), again: false, ageMs: () => 0, mode: 'enforce' as const };
  return chooseChange({ ...choosing, input: both, plan, settings }).change?.fingerprint;
}

describe('chooseChange', () => {
  for (const takeUp of ['live', 'restart'] as const) {
    it(`takes the renewal whose certificate ends first, ${takeUp}`, async (test) => {
      assert.equal(await chosen(test, takeUp, 60_000), 'kubelet');
      assert.equal(await chosen(test, takeUp, -60_000), 'kube-proxy');
    });
  }
});
