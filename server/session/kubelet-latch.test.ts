import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { create } from '@bufbuild/protobuf';
import type { ComponentState } from '../../common/names/names.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { KubeletVerification } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { ComponentStatusSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import {
  allKubeletsVerified,
  type FleetOfKubelets,
  type JoinedNode,
  loadKubeletLatch,
  type VerifyKubelets,
} from './kubelet-latch.ts';

const MINUTE_MS = 60_000;

function row(node: string, component: FleetComponent['component'], state: ComponentState): FleetComponent {
  return { node, component, state, online: true, status: create(ComponentStatusSchema) };
}

/** A latch of a new fleet that is told how many nodes will join, and says which verification holds. */
async function begin(test: TestContext, count: number | undefined, mode: VerifyKubelets = 'auto') {
  const clock = new FakeClock();
  const store = openSqliteStore(':memory:', clock);
  test.after(() => store.close());
  const latch = await loadKubeletLatch({ store, clock, mode, nodes: count });
  const joinedAtMs = clock.nowMs();
  /** After it has looked at nodes with these kubelets, of which the unknown were not looked at yet. */
  const after = async (
    kubelets: Record<string, ComponentState | 'none' | 'unknown'>,
    { nodes, ...fleet }: Partial<Omit<FleetOfKubelets, 'nodes'>> & { nodes?: JoinedNode[] } = {},
  ): Promise<string> => {
    await latch.update({
      components: Object.entries(kubelets).flatMap(([node, state]) =>
        state === 'none' || state === 'unknown' ? [] : [row(node, 'kubelet', state)],
      ),
      nodes: async () =>
        nodes ?? Object.keys(kubelets).map((name) => ({ name, enrolledAtMs: joinedAtMs, mode: 'enforce' })),
      leftOut: [],
      isSurveyed: (node) => kubelets[node] !== 'unknown',
      isComplete: true,
      kubeletsCanComeFirst: true,
      ...fleet,
    });
    return KubeletVerification[latch.value];
  };
  return { clock, after };
}

describe('verification of kubelets', () => {
  const rows: [string, ComponentState[], boolean][] = [
    ['no kubelet', [], false],
    ['one that is verified', ['verified'], true],
    ['one of two verified', ['verified', 'pending'], false],
    ['a degraded one', ['verified', 'degraded'], false],
  ];
  for (const [what, states, all] of rows) {
    it(`is ${all ? 'wanted' : 'not wanted yet'} with ${what}`, () => {
      const kubelets = states.map((state, at) => row(`n${at}`, 'kubelet', state));
      assert.equal(allKubeletsVerified([...kubelets, row('n0', 'etcd', 'failed')]), all);
    });
  }

  it('waits for no kubelet where nobody says how many nodes there are', async (test) => {
    const { after } = await begin(test, undefined);
    assert.equal(await after({ cp1: 'pending' }), 'UNSPECIFIED');
    assert.equal(await after({ cp1: 'verified' }), 'WITH_RESTART');
  });

  it('lets API servers wait until all nodes have joined and their kubelets are done', async (test) => {
    const { after } = await begin(test, 3);
    assert.equal(await after({}), 'AWAIT_KUBELETS');
    assert.equal(await after({ cp1: 'verified' }), 'AWAIT_KUBELETS', 'two are to come');
    assert.equal(await after({ cp1: 'verified', w1: 'unknown', e1: 'none' }), 'AWAIT_KUBELETS');
    assert.equal(await after({ cp1: 'verified', w1: 'verifying', e1: 'none' }), 'AWAIT_KUBELETS');
    assert.equal(await after({ cp1: 'verified', w1: 'verified', e1: 'none' }), 'WITH_RESTART');
    assert.equal(await after({ cp1: 'verified', w1: 'applying', e1: 'none' }), 'WITH_RESTART', 'it stays');
  });

  it('waits for no kubelet that failed, nor for one that is left out', async (test) => {
    const { after } = await begin(test, 2);
    for (const state of ['failed', 'rolled-back', 'degraded'] as const) {
      assert.equal(await after({ cp1: 'verified', w1: state }), 'UNSPECIFIED', state);
    }
    assert.equal(await after({ cp1: 'verified', w1: 'pending' }, { leftOut: ['w1'] }), 'UNSPECIFIED');
    assert.equal(await after({ cp1: 'verified', w1: 'unknown' }, { leftOut: ['w1'] }), 'WITH_RESTART');
  });

  it('waits no longer than half an hour after the last node has joined', async (test) => {
    const { clock, after } = await begin(test, 3);
    await clock.advance(29 * MINUTE_MS);
    assert.equal(await after({ cp1: 'verified', w1: 'pending' }), 'AWAIT_KUBELETS');
    await clock.advance(MINUTE_MS);
    assert.equal(await after({ cp1: 'verified', w1: 'pending' }), 'UNSPECIFIED');
    const late = [{ name: 'w2', enrolledAtMs: clock.nowMs(), mode: 'enforce' as const }];
    assert.equal(await after({ cp1: 'verified', w1: 'pending' }, { nodes: late }), 'AWAIT_KUBELETS');
  });

  for (const stepMs of [24 * 60 * MINUTE_MS, -24 * 60 * MINUTE_MS]) {
    it(`waits that half an hour when the wall clock is set by ${stepMs} ms`, async (test) => {
      const { clock, after } = await begin(test, 3);
      assert.equal(await after({ cp1: 'verified', w1: 'pending' }), 'AWAIT_KUBELETS');
      clock.step(stepMs);
      await clock.advance(29 * MINUTE_MS);
      assert.equal(await after({ cp1: 'verified', w1: 'pending' }), 'AWAIT_KUBELETS');
      await clock.advance(MINUTE_MS);
      assert.equal(await after({ cp1: 'verified', w1: 'pending' }), 'UNSPECIFIED');
    });
  }

  it('counts that half an hour from when the first node is changed, however long all were observed', async (test) => {
    const { clock, after } = await begin(test, 2);
    const observing = { nodes: ['cp1', 'w1'].map((name) => ({ name, enrolledAtMs: 0, mode: 'observe' as const })) };
    await clock.advance(60 * MINUTE_MS);
    assert.equal(await after({ cp1: 'detected', w1: 'detected' }, observing), 'UNSPECIFIED');
    const [, w1] = observing.nodes;
    const half = { nodes: [{ name: 'cp1', enrolledAtMs: 0, mode: 'enforce' as const }, w1 ?? assert.fail()] };
    assert.equal(await after({ cp1: 'verified', w1: 'detected' }, half), 'UNSPECIFIED', 'nobody knows when');
    assert.equal(await after({ cp1: 'detected', w1: 'detected' }, observing), 'UNSPECIFIED');
    await clock.advance(29 * MINUTE_MS);
    assert.equal(await after({ cp1: 'pending', w1: 'detected' }), 'AWAIT_KUBELETS');
    await clock.advance(MINUTE_MS);
    assert.equal(await after({ cp1: 'pending', w1: 'detected' }), 'UNSPECIFIED');
  });

  it('lets no API server wait while its CA changes, or where clients do not know it yet', async (test) => {
    const { after } = await begin(test, 3);
    assert.equal(await after({ cp1: 'pending' }, { kubeletsCanComeFirst: false }), 'UNSPECIFIED');
  });

  it('decides nothing while a node is being looked at', async (test) => {
    const { after } = await begin(test, undefined);
    assert.equal(await after({ cp1: 'verified' }, { isComplete: false }), 'UNSPECIFIED');
  });

  it('is what the operator says', async (test) => {
    assert.equal(await (await begin(test, 3, 'never')).after({ cp1: 'verified' }), 'UNSPECIFIED');
    assert.equal(await (await begin(test, 3, 'always')).after({ cp1: 'pending' }), 'AT_ONCE');
  });
});
