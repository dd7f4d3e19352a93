import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AppError } from '../common/errors/app-error.ts';
import { until } from '../common/time/until-for-tests.ts';
import { FakeLink } from './link/fake-link.ts';
import { recoverNode } from './reconcile/recover-node.ts';
import { rotate } from './rotate.ts';
import { assertUntouched, bad, begin as beginWith, good } from './rotate-for-tests.ts';
import { listChanges } from './stage/change-journal.ts';
import type { Checkpoint } from './stage/checkpoints.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-rotate-'));
let link: FakeLink;
before(async () => {
  link = await FakeLink.create();
});
after(() => rmSync(parent, { recursive: true }));

const begin = () => beginWith(parent, link);

describe('rotate, when the agent is stopped', () => {
  it('discards when it is stopped while it waits for the permit', async () => {
    const { node, fake, board, stop, old, run } = await begin();
    fake.instead.acquire = () => {
      throw new AppError('unavailable', 'w2 holds it');
    };
    const done = run();
    await until(() => node.clock.sleeping === 1, 'the sleep');
    stop.abort();
    await assert.rejects(done, { name: 'AbortError' });
    await assertUntouched(node, old);
    assert.equal(board.get('etcd')?.state, 'pending');
  });

  const before: Checkpoint[] = ['permitted'];
  const between: Checkpoint[] = [
    'switching',
    'link-switched',
    'file-written',
    'switched',
    'nudge-moved',
    'nudged',
    'reloaded',
  ];
  const later: Checkpoint[] = ['dependant-stopped', 'restart-begun', 'member-updated', 'unit-restarted', 'verifying'];
  for (const at of [...before, ...between, ...later]) {
    it(`goes all the way back when it is stopped at ${at}, without a verdict`, async () => {
      const { node, deps, change, fake, board, stop, old } = await begin();
      deps.transaction = node.deps(async (name) => {
        if (name === at) stop.abort();
      });
      deps.verifier.verify = async (_, signal) => {
        signal.throwIfAborted();
        return bad;
      };
      deps.verifier.verifyBefore = async () => assert.fail('there is no time for this');
      await assert.rejects(
        rotate(deps, change, () => undefined, stop.signal),
        { name: 'AbortError' },
      );
      await assertUntouched(node, old);
      assert.deepEqual(node.peerUrls, ['http://10.0.0.1:2380']);
      assert.equal(node.unit('etcd.service').running, await node.configuration('etcd.service'));
      assert.equal(board.get('etcd')?.state, before.includes(at) ? 'pending' : 'detected');
      assert.equal(fake.asked.at(-1), 'release p1');
    });
  }

  it('leaves no verdict to its next life either, when it is killed on the way back', async () => {
    const { node, deps, board, fake, stop, old, run } = await begin();
    let undoing = false;
    deps.transaction = node.deps(async (name) => {
      if (name === 'verifying') stop.abort();
      undoing ||= name === 'undoing';
      if (undoing) throw new Error('killed');
    });
    deps.verifier.verify = async () => bad;
    await assert.rejects(run(), /killed/);
    const recovery = await recoverNode(
      { ...deps, transaction: node.deps(), board, link: fake },
      new AbortController().signal,
    );
    assert.deepEqual(recovery, { whole: true, judged: [] });
    assert.equal(board.get('etcd')?.state, 'detected');
    await assertUntouched(node, old);
  });

  it('takes checks that were stopped for no verdict, even when they look failed', async () => {
    const { node, deps, stop, old, run } = await begin();
    deps.verifier.verify = async () => {
      stop.abort();
      return bad;
    };
    await assert.rejects(run(), { name: 'AbortError' });
    await assertUntouched(node, old);
  });

  it('keeps what was verified before it was stopped', async () => {
    const { deps, board, stop, run } = await begin();
    deps.verifier.verify = async () => {
      stop.abort();
      return good;
    };
    assert.deepEqual(await run(), { outcome: 'kept' });
    assert.equal(board.get('etcd')?.state, 'verified');
  });
});

describe('rotate, for whoever dies after it', () => {
  it('writes the verdict down while the journal is there still, and none on what is kept', async () => {
    const { node, deps, change, run } = await begin();
    const noted: [string, string, number][] = [];
    deps.noteFailed = async (failed, reason) => {
      noted.push([failed.fingerprint, reason, (await listChanges(node.layout)).records.length]);
    };
    deps.verifier.verify = async () => bad;
    assert.equal((await run()).outcome, 'undone');
    assert.deepEqual(noted, [[change.fingerprint, bad.reason, 1]]);
    deps.verifier.verify = async () => good;
    assert.equal((await run()).outcome, 'kept');
    assert.equal(noted.length, 1);
  });
});
