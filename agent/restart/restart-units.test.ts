import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import type { RunCommand } from '../../common/run/command.ts';
import { type AppliedChange, applyChange } from '../apply/apply-change.ts';
import { loadChange } from '../stage/change-journal.ts';
import { fakeSigned, makeChange, makeNode } from '../stage/fake-change.ts';
import type { FakeNode } from '../stage/fake-node.ts';
import { stageChange } from '../stage/stage-change.ts';
import { restartUnit } from './restart-unit.ts';
import { restartUnits } from './restart-units.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-restart-'));
after(() => rmSync(parent, { recursive: true }));

async function apply(node: FakeNode): Promise<AppliedChange> {
  const staged = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
  return applyChange(node.deps(), staged, { permitId: 'p1' });
}

describe('restartUnits', () => {
  it('restarts in order, tells the cluster the new peer URLs right before etcd, and ends verifying', async () => {
    const node = await makeNode(parent);
    const applied = await apply(node);
    const steps: string[] = [];
    const deps = node.deps(async (name) => {
      if (/^(restart-begun|after (update|systemctl restart))/.test(name)) steps.push(name);
    });
    const restarted = await restartUnits(deps, applied);
    assert.ok(restarted.ok);
    assert.deepEqual(
      restarted.units.map(({ unit, ok, detail, cursor }) => ({ unit, ok, detail, cursor })),
      ['etcd.service', 'kube-apiserver.service'].map((unit) => ({
        unit,
        ok: true,
        detail: 'active (running)',
        cursor: 's=1;i=2',
      })),
    );
    assert.deepEqual(steps, [
      'restart-begun',
      'after update-member',
      'after systemctl restart',
      'restart-begun',
      'after systemctl restart',
    ]);
    for (const { unit, invocationId } of restarted.units) assert.equal(invocationId, node.unit(unit).invocationId);
    assert.equal((await loadChange(node.layout, applied.record.changeId)).state.name, 'verifying');
  });

  it('reports a unit that does not come back, in words of systemd, and disturbs nothing after it', async () => {
    const node = await makeNode(parent);
    const applied = await apply(node);
    node.fails = (unit) => unit === 'etcd.service';
    const restarted = await restartUnits(node.deps(), applied);
    assert.ok(!restarted.ok);
    assert.deepEqual(
      restarted.units.map(({ unit, detail }) => [unit, detail]),
      [
        [
          'etcd.service',
          'Job for etcd.service failed because the control process exited.; activating (auto-restart), result exit-code',
        ],
      ],
    );
    assert.equal(node.unit('kube-apiserver.service').starts, 0);
    assert.equal((await loadChange(node.layout, applied.record.changeId)).state.name, 'restarting');
  });

  it('does not start what was stopped and disabled, and says so', async () => {
    const node = await makeNode(parent);
    Object.assign(node.unit('etcd.service'), { activeState: 'inactive', subState: 'dead', unitFileState: 'disabled' });
    const restarted = await restartUnits(node.deps(), await apply(node));
    assert.deepEqual(restarted.leftStopped, ['etcd.service']);
    assert.deepEqual(
      restarted.units.map(({ unit }) => unit),
      ['kube-apiserver.service'],
    );
    assert.equal(node.unit('etcd.service').starts, 0);
    assert.deepEqual(node.peerUrls, ['http://10.0.0.1:2380']);
    assert.ok(restarted.ok);
  });

  it('starts what was stopped or failed but is enabled', async () => {
    for (const activeState of ['inactive', 'failed']) {
      const node = await makeNode(parent);
      Object.assign(node.unit('etcd.service'), { activeState, subState: 'dead' });
      assert.equal((await restartUnits(node.deps(), await apply(node))).units.length, 2);
    }
  });

  it('stops at the signal without beginning another restart', async () => {
    const node = await makeNode(parent);
    const applied = await apply(node);
    const stop = new AbortController();
    const deps = node.deps(async (name) => {
      if (name === 'unit-restarted') stop.abort();
    });
    await assert.rejects(restartUnits(deps, applied, stop.signal), { name: 'AbortError' });
    assert.equal(node.unit('kube-apiserver.service').starts, 0);
    const { components } = await loadChange(node.layout, applied.record.changeId);
    assert.deepEqual(
      components.map(({ restartBegun }) => restartBegun),
      [true, true], // the API server was stopped before etcd restarted
    );
  });

  it('stops what depends on etcd before etcd restarts, and starts it last', async () => {
    const node = await makeNode(parent);
    const applied = await apply(node);
    const states: string[] = [];
    const deps = node.deps(async (name) => {
      if (name === 'restart-begun') states.push(node.unit('kube-apiserver.service').activeState);
    });
    const { units } = await restartUnits(deps, applied);
    assert.deepEqual(states, ['inactive', 'inactive']);
    assert.deepEqual(
      units.map(({ unit, ok }) => [unit, ok]),
      [
        ['etcd.service', true],
        ['kube-apiserver.service', true],
      ],
    );
  });

  it('restarts no etcd whose cluster does not take the new peer URLs, and remembers that it may have', async () => {
    const node = await makeNode(parent);
    const applied = await apply(node);
    node.clusterDown = true;
    await assert.rejects(restartUnits(node.deps(), applied), /does not answer/);
    assert.equal(node.unit('etcd.service').starts, 0);
    const [etcd] = (await loadChange(node.layout, applied.record.changeId)).components;
    assert.equal(etcd?.memberUpdateBegun, true);
  });
});

describe('restartUnit', () => {
  /** Systemd with one unit whose properties and job the test decides. */
  async function restart(properties: Record<string, string>, job: RunCommand, fresh = true) {
    const node = await makeNode(parent);
    let asked = false;
    const timeouts: (number | undefined)[] = [];
    const run: RunCommand = async (argv, options) => {
      if (argv[1] === 'restart') {
        asked = true;
        timeouts.push(options?.timeoutMs);
        return job(argv, options);
      }
      const all = {
        LoadState: 'loaded',
        ActiveState: 'active',
        SubState: 'running',
        InvocationID: asked && fresh ? 'new' : 'old',
        Result: 'success',
        TimeoutStopUSec: '1min 30s',
        TimeoutStartUSec: '1min',
        ...properties,
      };
      const stdout = Object.entries(all).map(([name, value]) => `${name}=${value}\n`);
      return { code: 0, stdout: stdout.join(''), stderr: '' };
    };
    const outcome = await restartUnit({ ...node.deps(), run }, 'kubelet', 'kubelet.service');
    return { ...outcome, timeoutMs: timeouts[0], nowMs: node.clock.nowMs() };
  }
  const good: RunCommand = async () => ({ code: 0, stdout: '', stderr: '' });

  it('waits for the job as long as the unit itself may take to stop and start, and a minute', async () => {
    assert.equal((await restart({}, good)).timeoutMs, 90_000 + 60_000 + 60_000);
  });

  it('waits a quarter of an hour where systemd would wait for ever', async () => {
    assert.equal((await restart({ TimeoutStartUSec: 'infinity' }, good)).timeoutMs, 15 * 60_000);
  });

  it('answers that a job did not end', async () => {
    const late: RunCommand = async () => {
      throw new AppError('deadline', 'systemctl did not end in time');
    };
    const outcome = await restart({ ActiveState: 'deactivating', SubState: 'stop-sigterm' }, late);
    assert.ok(!outcome.ok);
    assert.match(outcome.detail, /^systemd's job did not end within 210 s; deactivating \(stop-sigterm\)/);
  });

  const failures: [title: string, properties: Record<string, string>, fresh: boolean, detail: RegExp][] = [
    ['crashes right after its start', { ActiveState: 'activating', SubState: 'auto-restart' }, true, /auto-restart/],
    ['has failed', { ActiveState: 'failed', Result: 'exit-code' }, true, /^failed \(running\), result exit-code$/],
    ['is still the old process', {}, false, /did not start it anew/],
  ];
  for (const [title, properties, fresh, detail] of failures) {
    it(`is not content with a unit that ${title}, though the job ended well`, async () => {
      const outcome = await restart(properties, good, fresh);
      assert.ok(!outcome.ok);
      assert.match(outcome.detail, detail);
    });
  }

  it('rejects when the wait is broken off', async () => {
    const aborted: RunCommand = async () => {
      throw new DOMException('aborted', 'AbortError');
    };
    await assert.rejects(restart({}, aborted), { reason: 'unavailable' });
  });

  it('rejects not-found for a unit that is gone, and unavailable when systemd says nothing', async () => {
    await assert.rejects(restart({ LoadState: 'not-found' }, good), { reason: 'not-found' });
    await assert.rejects(restart({ ActiveState: '' }, good), { reason: 'unavailable' });
  });

  it('tells when the process started, never sooner than it was asked', async () => {
    for (const started of ['', '0', 'n/a', '1', String(process.hrtime.bigint() / 1000n + 10_000_000n)]) {
      const outcome = await restart({ ExecMainStartTimestampMonotonic: started }, good);
      assert.equal(outcome.startedAtMs, outcome.nowMs);
    }
  });
});
