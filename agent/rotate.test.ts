import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AppError, type Reason } from '../common/errors/app-error.ts';
import type { Component } from '../common/names/names.ts';
import { until } from '../common/time/until-for-tests.ts';
import { FakeLink } from './link/fake-link.ts';
import { fingerprint } from './plan/fingerprint.ts';
import { rotate } from './rotate.ts';
import { assertUntouched, bad, begin as beginWith, check, good, well } from './rotate-for-tests.ts';
import { listChanges } from './stage/change-journal.ts';
import type { FakeNode } from './stage/fake-node.ts';
import { recover } from './undo/recover.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-rotate-'));
let link: FakeLink;
before(async () => {
  link = await FakeLink.create();
});
after(() => rmSync(parent, { recursive: true }));

const begin = () => beginWith(parent, link);
const starts = (node: FakeNode) => ['etcd.service', 'kube-apiserver.service'].map((unit) => node.unit(unit).starts);

describe('rotate', () => {
  it('keeps a change that was verified, reports its certificates and gives the permit back', async () => {
    const { node, change, fake, board, held, states, run } = await begin();
    assert.deepEqual(await run(), { outcome: 'kept' });
    assert.deepEqual(fake.asked, [`issue ${change.changeId}`, `acquire ${change.changeId}`, 'release p1']);
    assert.deepEqual(held, ['p1', '']);
    assert.deepEqual(states, ['pending', 'applying', 'verifying', 'verified']);
    const status = board.get('etcd');
    assert.deepEqual(
      status?.certificates.map(({ profile }) => profile),
      ['etcd-server', 'etcd-peer'],
    );
    assert.deepEqual([status.restarts, status.reloads, status.reason, status.pendingFiles], [1, 0, '', []]);
    const pin = link.signers.get('etcd')?.certificate.publicKeyPin ?? assert.fail();
    assert.deepEqual(status.trust, [{ authority: 'etcd', rootPins: [pin] }]);
    assert.deepEqual(
      status.certificates.map(({ issuerPin }) => issuerPin),
      [pin, pin],
    );
    assert.deepEqual(starts(node), [1, 1]);
    assert.deepEqual(await listChanges(node.layout), { records: [], problems: [] });
  });

  it('asks also for the pod that cannot work without etcd', async () => {
    const process = {
      kind: 'static-pod',
      pod: 'a-cp1',
      namespace: 'b',
      container: 'a',
      manifest: '/none.yaml',
    } as const;
    const dependants = [{ component: 'kube-scheduler', process }] as const;
    const { fake, board, run } = await beginWith(parent, link, ({ component }) =>
      component === 'etcd' ? { dependants } : {},
    );
    const asked: Component[] = [];
    fake.instead.acquire = (_, components) => void asked.push(...components);
    assert.deepEqual(await run(), { outcome: 'kept' });
    assert.deepEqual(asked, ['etcd', 'kube-apiserver', 'kube-scheduler']);
    assert.equal(board.get('kube-scheduler'), undefined); // it was not ended
  });

  it('waits while another etcd member is down, and makes no certificate for it', async () => {
    const { node, deps, fake, board, run } = await begin();
    let down: string | undefined = 'etcd member m2 does not listen';
    deps.membersDown = async () => down;
    const done = run();
    await until(() => node.clock.sleeping === 1, 'the sleep');
    assert.deepEqual([board.get('etcd')?.state, board.get('etcd')?.reason], ['waiting-for-permit', down]);
    assert.deepEqual(fake.asked, []);
    down = undefined;
    await node.clock.advance(5000);
    assert.deepEqual(await done, { outcome: 'kept' });
  });

  it('does not begin when another etcd member went down while it waited for the permit', async () => {
    const { node, deps, fake, old, run } = await begin();
    fake.instead.acquire = () => {
      deps.membersDown = async () => 'etcd member m2 does not listen';
    };
    assert.deepEqual(await run(), { outcome: 'not-begun', reason: 'etcd member m2 does not listen' });
    await assertUntouched(node, old);
  });

  it('does not begin when a component was set up otherwise while it waited', async () => {
    const { node, deps, old, run } = await begin();
    deps.changedSince = async () => 'etcd was set up otherwise';
    assert.deepEqual(await run(), { outcome: 'not-begun', reason: 'etcd was set up otherwise' });
    await assertUntouched(node, old);
  });

  it('writes the statuses to disk before the first switch', async () => {
    const { node, deps, board, old, run } = await begin();
    deps.remember = async () => {
      assert.equal(board.get('etcd')?.state, 'applying');
      assert.deepEqual((await node.tree())['/etc/kube-mtls/etcd.env'], old['/etc/kube-mtls/etcd.env']);
      throw new Error('the disk is full');
    };
    assert.deepEqual(await run(), { outcome: 'not-begun', reason: 'the disk is full' });
    await assertUntouched(node, old);
  });

  it('says of a component whose unit is left stopped that nothing was proved', async () => {
    const { deps, board, run } = await begin();
    const checks = new Map([...good.checks, ['etcd', [check('unit', 'skipped', 'left stopped')]]] as const);
    deps.verifier.verify = async () => ({ ...good, checks });
    assert.deepEqual(await run(), { outcome: 'kept' });
    assert.deepEqual([board.get('etcd')?.state, board.get('etcd')?.reason], ['detected', 'left stopped']);
    assert.equal(board.get('kube-apiserver')?.state, 'verified');
  });

  it('undoes a change that fails verification, proves the old state and reports both', async () => {
    const { node, deps, board, fake, states, old, run } = await begin();
    deps.verifier.verify = async () => bad;
    assert.deepEqual(await run(), { outcome: 'undone', reason: bad.reason });
    await assertUntouched(node, old);
    assert.deepEqual(states, ['pending', 'applying', 'verifying', 'rolled-back']);
    const status = board.get('etcd');
    assert.equal(status?.reason, bad.reason);
    assert.deepEqual(
      status?.checks.map(({ summary }) => summary),
      ['refuses everybody', 'after going back: serves as before'],
    );
    assert.equal(status?.restarts, 2);
    assert.deepEqual(node.peerUrls, ['http://10.0.0.1:2380']);
    assert.equal(fake.asked.at(-1), 'release p1');
  });

  it('undoes a change whose unit does not restart, and counts only the restarts that were made', async () => {
    const { node, deps, board, old, run } = await begin();
    node.fails = (unit, configuration) => unit === 'etcd.service' && configuration.includes('ETCD_CERT_FILE');
    deps.verifier.verify = async ({ restarted }) => {
      assert.equal(restarted.ok, false);
      return bad;
    };
    assert.equal((await run()).outcome, 'undone');
    await assertUntouched(node, old);
    assert.deepEqual(starts(node), [2, 1]); // the API server was only stopped for etcd, and started again by the undo
    assert.deepEqual([board.get('etcd')?.restarts, board.get('kube-apiserver')?.restarts], [2, 1]);
  });

  it('reports FAILED when the old state is back on disk but does not answer as before', async () => {
    const { deps, board, run } = await begin();
    deps.verifier.verify = async () => bad;
    deps.verifier.verifyBefore = async () => new Map([['etcd', [check('handshake', 'failed', 'nobody answers')]]]);
    assert.equal((await run()).outcome, 'undone');
    assert.equal(board.get('etcd')?.state, 'failed');
    assert.match(board.get('etcd')?.reason ?? '', /refuses everybody; after going back: .*nobody answers/);
  });

  it('says of a component that only trusts now what it waits for', async () => {
    const { board, run } = await beginWith(parent, link, ({ component }) =>
      component === 'kube-apiserver' ? { target: 'trusting' } : {},
    );
    assert.deepEqual(await run(), { outcome: 'kept' });
    const { state, reason } = board.get('kube-apiserver') ?? assert.fail();
    assert.deepEqual([state, reason], ['pending', 'trusts the old and the new roots; waits for the phase reissue']);
  });

  for (const proved of [true, false]) {
    it(`a unit that systemd could not start again is ${proved ? 'well when it answers' : 'FAILED'}`, async () => {
      const { node, deps, board, run } = await begin();
      deps.verifier.verify = async () => {
        node.fails = (unit) => unit === 'etcd.service';
        return bad;
      };
      deps.verifier.verifyBefore = async () => (proved ? well : new Map());
      assert.equal((await run()).outcome, 'undone');
      assert.equal(board.get('etcd')?.state, proved ? 'rolled-back' : 'failed');
    });
  }

  const refusals: [what: string, reason: Reason, state: string][] = [
    ['policy refuses', 'policy-refused', 'failed'],
    ['the server does not answer', 'unavailable', 'pending'],
    ['the request is no good', 'invalid-request', 'failed'],
  ];
  for (const [what, reason, state] of refusals) {
    it(`does not begin when ${what}, and stages nothing`, async () => {
      const { node, fake, board, held, old, run } = await begin();
      fake.instead.issue = () => {
        throw new AppError(reason, 'no such name');
      };
      assert.deepEqual(await run(), { outcome: 'not-begun', reason: 'no such name' });
      await assertUntouched(node, old);
      assert.deepEqual([board.get('etcd')?.state, board.get('etcd')?.reason], [state, 'not begun: no such name']);
      assert.deepEqual(held, []);
      assert.equal(fake.asked.length, 1); // no permit was asked for
    });
  }

  it('does not begin with other roots than the plan saw', async () => {
    const { node, deps, change, old } = await begin();
    const planned = { ...change, fingerprint: fingerprint(change.components, new Map()) };
    const outcome = await rotate(deps, planned, () => undefined, new AbortController().signal);
    assert.match(outcome.outcome === 'not-begun' ? outcome.reason : '', /roots of the server changed/);
    await assertUntouched(node, old);
  });

  it('discards what was staged when the permit is refused for good', async () => {
    const { node, fake, board, old, run } = await begin();
    fake.instead.acquire = () => {
      throw new AppError('policy-refused', 'the rollout is paused');
    };
    assert.deepEqual(await run(), { outcome: 'not-begun', reason: 'the rollout is paused' });
    await assertUntouched(node, old);
    assert.equal(board.get('etcd')?.state, 'failed');
    assert.ok(!fake.asked.includes('release p1'));
  });

  it('waits for the permit while somebody else holds it, and says for whom', async () => {
    const { node, fake, board, run } = await begin();
    let turns = 0;
    fake.instead.acquire = () => {
      if (turns++ < 2) throw new AppError('unavailable', 'w2 holds it', { retryAfterMs: 2000 });
    };
    const done = run();
    await until(() => node.clock.sleeping === 1, 'the sleep');
    assert.deepEqual([board.get('etcd')?.state, board.get('etcd')?.reason], ['waiting-for-permit', 'w2 holds it']);
    await node.clock.advance(2000);
    await until(() => node.clock.sleeping === 1, 'the sleep');
    await node.clock.advance(2000);
    assert.deepEqual(await done, { outcome: 'kept' });
  });

  it('does not begin when a file changed while it waited, and this stops no rollout', async () => {
    const { node, deps, fake, states, old, run } = await begin();
    fake.instead.acquire = () => {
      appendFileSync(node.at('/etc/kube-mtls/etcd.env'), '# by somebody\n');
    };
    const outcome = await run();
    assert.match(outcome.outcome === 'not-begun' ? outcome.reason : '', /etcd\.env changed while the change waited/);
    assert.deepEqual(states, ['pending', 'applying', 'pending', 'pending']); // never from applying to failed
    const path = '/etc/kube-mtls/etcd.env';
    const { [path]: _, ...rest } = await node.tree();
    const { [path]: __, ...others } = old;
    assert.deepEqual(rest, others);
    assert.deepEqual((await listChanges(deps.transaction.layout)).records, []);
    assert.equal(fake.asked.at(-1), 'release p1');
  });

  it('discards when it cannot tell how the components stand before', async () => {
    const { node, deps, fake, held, old, run } = await begin();
    deps.verifier.remember = async () => {
      throw new TypeError('no YAML');
    };
    assert.deepEqual(await run(), { outcome: 'not-begun', reason: 'no YAML' });
    await assertUntouched(node, old);
    assert.deepEqual(held, ['p1', '']);
    assert.equal(fake.asked.at(-1), 'release p1');
  });

  it('rejects and reports FAILED when the undo fails, gives the permit back, and the next recovery ends it', async () => {
    const { node, deps, board, fake, held, old, run } = await begin();
    deps.verifier.verify = async () => {
      node.clusterDown = true; // the old peer URLs cannot be made known
      return bad;
    };
    await assert.rejects(run(), /the etcd cluster does not answer/);
    assert.equal(board.get('etcd')?.state, 'failed');
    assert.match(board.get('etcd')?.reason ?? '', /could not be brought to an end.*etcd cluster does not answer/);
    assert.deepEqual(held, ['p1', '']);
    assert.equal(fake.asked.at(-1), 'release p1');
    assert.equal((await listChanges(node.layout)).records[0]?.state.name, 'undoing');
    node.clusterDown = false;
    const [recovered] = await recover(node.deps(), new AbortController().signal);
    assert.equal(recovered?.outcome, 'undone');
    await assertUntouched(node, old);
  });

  it('rejects and reports FAILED when a verified change cannot be kept', async () => {
    const { node, deps, board, change, stop } = await begin();
    deps.transaction = node.deps(async (name) => {
      if (name === 'kept') throw new Error('the disk is gone');
    });
    await assert.rejects(
      rotate(deps, change, () => undefined, stop.signal),
      /the disk is gone/,
    );
    assert.equal(board.get('etcd')?.state, 'failed');
    assert.equal((await recover(node.deps(), stop.signal))[0]?.outcome, 'kept');
  });

  it('ends well although the permit cannot be given back', async () => {
    const { fake, run } = await begin();
    fake.instead.release = () => {
      throw new AppError('unavailable', 'nobody answers');
    };
    assert.deepEqual(await run(), { outcome: 'kept' });
  });
});
