import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Change, ComponentChange } from '../plan/change.ts';
import { lifetimeMs, makeAuthority, nowMs } from '../plan/fake-authorities.ts';
import { FakeCluster } from '../plan/fake-cluster.ts';
import { CHANGE_ID } from '../plan/placeholders.ts';
import { planNode } from '../plan/plan-node.ts';
import { earliestEndMs, isLiveRenewal, isRenewal, renewsSomething, retryDelayMs, sleepMs } from './renewal.ts';

const SOON = lifetimeMs * 0.67;

/** A worker whose kubelet has certificates of ours; `look` plans at a later time. */
async function begin(test: TestContext) {
  const cluster = await FakeCluster.worker();
  test.after(() => cluster.remove());
  await cluster.apply(await cluster.plan());
  const look = async (afterMs: number) => {
    cluster.nowMs = nowMs + afterMs;
    const input = await cluster.input();
    return { input, change: planNode(input).changes[0] };
  };
  return { cluster, look };
}

/** The change with its only component changed. */
function altered(change: Change | undefined, fields: (component: ComponentChange) => Partial<ComponentChange>): Change {
  if (change === undefined) assert.fail('nothing to change');
  return { ...change, components: change.components.map((each) => ({ ...each, ...fields(each) })) };
}

describe('isRenewal', () => {
  it('is a change for certificates that end, and for nothing else', async (test) => {
    const { look } = await begin(test);
    const { input, change } = await look(SOON);
    assert.ok(change !== undefined && isRenewal(change, input) && renewsSomething(change));
    const ended = await look(lifetimeMs + 1);
    assert.ok(ended.change !== undefined && isRenewal(ended.change, ended.input));
  });

  it('is not what a node gets first, nor one with other names, settings or roots', async (test) => {
    const fresh = await FakeCluster.worker();
    test.after(() => fresh.remove());
    const input = await fresh.input();
    const [first = assert.fail()] = planNode(input).changes;
    assert.equal(isRenewal(first, input), false);
    const { cluster, look } = await begin(test);
    const due = await look(SOON);
    const file = { path: '/x', text: '', mode: 0o644, uid: 0, gid: 0 };
    const files = [{ path: '/x', before: undefined, after: file, restarts: false }];
    const memberUpdate = { memberId: 'a', before: [], after: [] };
    assert.equal(
      isRenewal(
        altered(due.change, () => ({ files })),
        due.input,
      ),
      false,
    );
    assert.equal(
      isRenewal(
        altered(due.change, () => ({ memberUpdate })),
        due.input,
      ),
      false,
    );
    cluster.signers.set('kubernetes', await makeAuthority('another'));
    const rooted = await look(SOON);
    const sameReasons = altered(due.change, () => ({}));
    assert.equal(isRenewal(sameReasons, rooted.input), false);
  });

  it('may mark a manifest so that the pod restarts', async (test) => {
    const { look } = await begin(test);
    const { input, change } = await look(SOON);
    const after = { path: '/m', text: `restarted-by: ${CHANGE_ID}`, mode: 0o644, uid: 0, gid: 0 };
    const marked = altered(change, () => ({ files: [{ path: '/m', before: undefined, after, restarts: true }] }));
    assert.equal(isRenewal(marked, input), true);
    assert.equal(isLiveRenewal(marked, input), false); // the version is not known, so nothing is taken up live
    assert.equal(
      isLiveRenewal(
        altered(change, () => ({ takeUp: 'live' })),
        input,
      ),
      true,
    );
  });
});

describe('sleepMs', () => {
  const HOUR = 3_600_000;
  it('is the interval while nothing is due soon', async (test) => {
    const { look } = await begin(test);
    const { input } = await look(0);
    assert.equal(sleepMs(input, nowMs, HOUR), HOUR);
  });

  it('ends when the first certificate is due, and not before', async (test) => {
    const { look } = await begin(test);
    const { input } = await look(0);
    const ms = sleepMs(input, nowMs, lifetimeMs);
    assert.ok(ms > lifetimeMs * 0.56 && ms < lifetimeMs * 0.67, `${ms / lifetimeMs}`);
    assert.equal((await look(ms - 2)).change, undefined);
    assert.ok((await look(ms)).change !== undefined);
    assert.equal(sleepMs(input, nowMs + ms - 1, HOUR), 1_000); // never shorter than a second
  });

  it('tries what is due and was not made within a tenth of what is left', async (test) => {
    const { look } = await begin(test);
    const { input } = await look(0);
    const endMs = earliestEndMs(input, ['kubelet']) ?? assert.fail();
    assert.equal(endMs, nowMs + lifetimeMs);
    assert.equal(sleepMs(input, endMs - 1_000_000, HOUR), 100_000);
    assert.equal(sleepMs(input, endMs - 10_000, HOUR), 30_000);
    assert.equal(sleepMs(input, endMs, HOUR), 300_000);
    assert.equal(sleepMs({ ...input, detected: { ...input.detected, components: [] } }, endMs, HOUR), HOUR);
  });
});

describe('retryDelayMs', () => {
  const rows: [leftMs: number, delayMs: number][] = [
    [3_000_000, 300_000],
    [300_000, 30_000],
    [200_000, 30_000],
    [1, 30_000],
    [0, 300_000],
    [-5, 300_000],
  ];
  for (const [leftMs, delayMs] of rows) {
    it(`is ${delayMs} ms with ${leftMs} ms left`, () => assert.equal(retryDelayMs(1_000 + leftMs, 1_000), delayMs));
  }
});
