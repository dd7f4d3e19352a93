import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AppError } from '../common/errors/app-error.ts';
import type { CheckKind, Component } from '../common/names/names.ts';
import { until } from '../common/time/until-for-tests.ts';
import { FakeLink } from './link/fake-link.ts';
import { rotate } from './rotate.ts';
import { assertUntouched, begin as beginWith, check, good } from './rotate-for-tests.ts';
import type { FakeNode } from './stage/fake-node.ts';
import type { Verdict } from './verify/verifier.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-rotate-'));
let link: FakeLink;
before(async () => {
  link = await FakeLink.create();
});
after(() => rmSync(parent, { recursive: true }));

/** A change that nothing has to be restarted for; or only some of its components not. */
const begin = (live: readonly Component[] = ['etcd', 'kube-apiserver']) =>
  beginWith(parent, link, ({ component }) =>
    live.includes(component) ? { takeUp: 'live', files: [], memberUpdate: undefined } : {},
  );
const starts = (node: FakeNode) => ['etcd.service', 'kube-apiserver.service'].map((unit) => node.unit(unit).starts);

/** The verdict when one check of a component fails. */
function failing(component: Component, kind: CheckKind): Verdict {
  return {
    ok: false,
    reason: `${component} serves the old certificate`,
    checks: new Map([...good.checks, [component, [check(kind, 'failed', 'serves the old certificate')]]]),
  };
}

/** Verdicts in the order in which they are given. */
function verdicts(...given: Verdict[]) {
  return async () => given.shift() ?? assert.fail('verified once too often');
}

describe('rotate, without a restart', () => {
  it('asks for a permit that says so, restarts nothing and counts it as taken up live', async () => {
    const { node, change, fake, board, states, run } = await begin();
    const reasons: string[] = [];
    board.listen(({ component, reason }) => component === 'etcd' && reasons.push(reason));
    assert.deepEqual(await run(), { outcome: 'kept' });
    assert.deepEqual(fake.asked, [`issue ${change.changeId}`, `acquire ${change.changeId} live`, 'release p1']);
    assert.deepEqual(starts(node), [0, 0]);
    for (const component of ['etcd', 'kube-apiserver'] as const) {
      const { restarts, reloads } = board.get(component) ?? assert.fail();
      assert.deepEqual([restarts, reloads], [0, 1]);
    }
    assert.deepEqual(states, ['pending', 'applying', 'verifying', 'verified']);
    assert.ok(reasons.includes('switching files; nothing is restarted'));
  });

  it('restarts under the same permit what did not take them up, verifies again and counts a restart', async () => {
    const { node, deps, fake, board, states, run } = await begin();
    deps.verifier.verify = verdicts(failing('etcd', 'handshake'), good);
    assert.deepEqual(await run(), { outcome: 'kept' });
    assert.deepEqual(starts(node), [1, 0]);
    assert.equal(fake.asked.filter((call) => call.startsWith('acquire')).length, 1);
    const counts = (component: Component) => [board.get(component)?.restarts, board.get(component)?.reloads];
    assert.deepEqual(
      [counts('etcd'), counts('kube-apiserver')],
      [
        [1, 0],
        [0, 1],
      ],
    );
    assert.deepEqual(states.at(-1), 'verified');
  });

  for (const looks of [3, 100]) {
    it(`waits a minute for another etcd member that is down before such a restart, back after ${looks} looks`, async () => {
      const { node, deps, run } = await begin();
      const { clock } = node;
      deps.clock = { nowMs: () => clock.nowMs(), monotonicMs: () => clock.monotonicMs(), sleep: async () => {} };
      deps.verifier.verify = verdicts(failing('etcd', 'handshake'), good);
      let asked = 0;
      deps.membersDown = async ({ components }) => {
        if (!components.some(({ component, takeUp }) => component === 'etcd' && takeUp === 'restart')) return undefined;
        return ++asked > looks ? undefined : 'etcd member m2 does not answer';
      };
      const outcome = await run();
      assert.deepEqual([outcome.outcome, asked, starts(node)[0]], looks === 3 ? ['kept', 4, 1] : ['undone', 13, 0]);
    });
  }

  it('goes back when that does not help', async () => {
    const { node, deps, board, old, run } = await begin();
    deps.verifier.verify = verdicts(failing('etcd', 'handshake'), failing('etcd', 'journal'));
    assert.equal((await run()).outcome, 'undone');
    await assertUntouched(node, old);
    assert.equal(board.get('etcd')?.state, 'rolled-back');
    assert.equal(board.get('etcd')?.reloads, 0);
  });

  it('goes back at once when a process is gone, or when it is another component that fails', async () => {
    const gone = await begin();
    gone.deps.verifier.verify = verdicts(failing('etcd', 'unit'));
    assert.equal((await gone.run()).outcome, 'undone');
    const other = await begin(['kube-apiserver']);
    other.deps.verifier.verify = verdicts(failing('etcd', 'handshake'));
    assert.equal((await other.run()).outcome, 'undone');
    await assertUntouched(other.node, other.old);
  });

  it('starts nothing new where the process is gone, though its new certificate is not seen either', async () => {
    const { node, deps, run } = await begin();
    const both = [check('unit', 'failed', 'it is gone'), check('handshake', 'failed', 'nobody answers')];
    const checks = new Map([...good.checks, ['etcd' as const, both]]);
    deps.verifier.verify = verdicts({ ok: false, reason: 'etcd: it is gone', checks });
    assert.equal((await run()).outcome, 'undone');
    assert.deepEqual(starts(node), [0, 0]);
  });

  it('asks for an ordinary permit when anything is restarted, and counts each for itself', async () => {
    const { node, change, fake, board, run } = await begin(['kube-apiserver']);
    assert.deepEqual(await run(), { outcome: 'kept' });
    assert.ok(fake.asked.includes(`acquire ${change.changeId}`));
    assert.equal(starts(node)[0], 1);
    assert.deepEqual([board.get('etcd')?.restarts, board.get('etcd')?.reloads], [1, 0]);
  });
});

describe('rotate, when the change is outdated', () => {
  it('discards what was staged while it waits for the permit, and begins nothing', async () => {
    const { node, deps, change, fake, board, stop, old } = await begin();
    fake.instead.acquire = () => {
      throw new AppError('unavailable', 'w2 holds it', { retryAfterMs: 2_000 });
    };
    let outdated: string | undefined;
    const done = rotate(deps, change, () => outdated, stop.signal);
    await until(() => node.clock.sleeping === 1, 'the sleep');
    outdated = 'the settings of the server changed';
    await node.clock.advance(2_000);
    assert.deepEqual(await done, { outcome: 'not-begun', reason: outdated });
    await assertUntouched(node, old);
    assert.equal(board.get('etcd')?.state, 'pending'); // it is planned anew, and stops no rollout
  });
});
