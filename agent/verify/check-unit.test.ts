import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { RunCommand } from '../../common/run/command.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { layoutBelow } from '../layout.ts';
import { checkUnit } from './check-unit.ts';

const first = {
  ActiveState: 'active',
  SubState: 'running',
  MainPID: '100',
  InvocationID: 'aaaa',
  NRestarts: '0',
  Result: 'success',
  ExecMainCode: '0',
  ExecMainStatus: '0',
};
type State = Partial<typeof first>;
const layout = layoutBelow('/nowhere');
const process = { kind: 'unit', unit: 'etcd.service' } as const;
const signal = new AbortController().signal;

/** systemctl that says one state after the other, and then the last one for ever. */
function systemctl(...states: State[]): { run: RunCommand; asked: string[][] } {
  const asked: string[][] = [];
  const run: RunCommand = async (argv) => {
    asked.push([...argv]);
    const state = { ...first, ...(states.length > 1 ? states.shift() : states[0]) };
    const text = Object.entries(state).map(([name, value]) => `${name}=${value}\n`);
    return { code: 0, stdout: text.join(''), stderr: '' };
  };
  return { run, asked };
}

async function outcomeOf(states: State[], invocationId?: string) {
  const clock = new FakeClock();
  const { run } = systemctl(...states);
  const started = invocationId === undefined ? { process } : { process, invocationId };
  const running = checkUnit({ layout, clock, run }, started, 5000, signal);
  for (let second = 0; second < 10; second++) await clock.advance(1000);
  return running;
}

describe('checkUnit', () => {
  it('watches for the whole settle time before it passes', async () => {
    const clock = new FakeClock();
    const { run, asked } = systemctl({});
    const running = checkUnit({ layout, clock, run }, { process, invocationId: 'aaaa' }, 5000, signal);
    let ended = false;
    running.then(
      () => {
        ended = true;
      },
      () => {},
    );
    await clock.advance(4900);
    assert.equal(ended, false);
    await clock.advance(100);
    const outcome = await running;
    assert.equal(outcome.result, 'passed');
    assert.equal(outcome.summary, 'etcd.service is active with process 100');
    assert.match(outcome.evidence[0]?.line ?? '', /ActiveState=active SubState=running MainPID=100 InvocationID=aaaa/);
    assert.equal(outcome.evidence[0]?.source, 'systemctl show etcd.service');
    assert.equal(asked.length, 6);
    assert.deepEqual(asked[0]?.slice(-2), ['--', 'etcd.service']);
  });

  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`watches for the settle time when the wall clock is set by ${stepMs} ms`, async () => {
      const clock = new FakeClock();
      const { run, asked } = systemctl({});
      const running = checkUnit({ layout, clock, run }, { process, invocationId: 'aaaa' }, 5000, signal);
      await clock.advance(2000);
      clock.step(stepMs);
      await clock.advance(3000);
      assert.equal((await running).result, 'passed');
      assert.equal(asked.length, 6);
    });
  }

  it('looks once when there is nothing to settle', async () => {
    const { run, asked } = systemctl({});
    const outcome = await checkUnit({ layout, clock: new FakeClock(), run }, { process }, 0, signal);
    assert.equal(outcome.result, 'passed');
    assert.equal(asked.length, 1);
  });

  const exited = { Result: 'exit-code', ExecMainCode: '1', ExecMainStatus: '1' };
  const failures: { what: string; states: State[]; invocationId?: string; why: RegExp }[] = [
    {
      what: 'a unit that has failed, with result and last exit',
      states: [{ ...exited, ActiveState: 'failed', SubState: 'failed', MainPID: '0' }],
      why: /the unit is failed \(failed\), result exit-code, last exit with status 1/,
    },
    {
      what: 'a unit that waits to be started again',
      states: [{ ...exited, ActiveState: 'activating', SubState: 'auto-restart', MainPID: '0' }],
      why: /activating \(auto-restart\)/,
    },
    {
      what: 'a unit that dies while it is watched',
      states: [
        {},
        {},
        { ActiveState: 'failed', SubState: 'failed', Result: 'signal', ExecMainCode: '2', ExecMainStatus: '9' },
      ],
      why: /last killed by signal 9/,
    },
    {
      what: 'a unit that systemd has started again in between, although it is active each time',
      states: [{}, { MainPID: '200', InvocationID: 'bbbb', NRestarts: '1' }],
      why: /another one runs \(1 automatic restarts/,
    },
    {
      what: 'a process that is not the one of the restart',
      states: [{ InvocationID: 'bbbb' }],
      invocationId: 'aaaa',
      why: /the process that the change started is gone/,
    },
    { what: 'a unit without a process', states: [{ MainPID: '0', SubState: 'exited' }], why: /without a process/ },
  ];
  for (const { what, states, invocationId, why } of failures) {
    it(`fails for ${what}`, async () => {
      const outcome = await outcomeOf(states, invocationId);
      assert.equal(outcome.result, 'failed');
      assert.match(outcome.summary, why);
    });
  }

  describe('of a static pod', () => {
    const [first, second] = ['a'.repeat(64), 'b'.repeat(64)];

    /** A node on which containers run with those commands; the first one's manifest says "etcd --name=cp1". */
    async function node(test: TestContext, containers: Record<string, string[]>) {
      const root = await mkdtemp(join(tmpdir(), 'kube-mtls-unit-'));
      test.after(() => rm(root, { recursive: true }));
      const manifest = join(root, 'etcd.yaml');
      await writeFile(manifest, 'spec: {containers: [{name: etcd, command: [etcd, --name=cp1]}]}');
      const start = async (containerId: string, argv: string[]) => {
        const folder = join(root, 'proc', String(Number.parseInt(containerId.slice(0, 2), 16)));
        await mkdir(folder, { recursive: true });
        await writeFile(join(folder, 'cmdline'), `${argv.join('\0')}\0`);
        await writeFile(join(folder, 'cgroup'), `0::/kubepods/pod1/${containerId}\n`);
        await writeFile(join(folder, 'stat'), `1 (etcd) S ${'0 '.repeat(18)}100 0\n`);
      };
      for (const [containerId, argv] of Object.entries(containers)) await start(containerId, argv);
      const clock = new FakeClock();
      const pod = {
        kind: 'static-pod',
        pod: 'etcd-cp1',
        namespace: 'kube-system',
        container: 'etcd',
        manifest,
      } as const;
      const check = async (invocationId: string | undefined, settleMs: number, meanwhile = async () => {}) => {
        const started = { process: pod, ...(invocationId === undefined ? {} : { invocationId }) };
        const running = checkUnit(
          { layout: layoutBelow(root), clock, run: systemctl({}).run },
          started,
          settleMs,
          signal,
        );
        if (settleMs > 0) {
          while (clock.sleeping === 0) await new Promise((resolve) => setImmediate(resolve));
          await meanwhile();
          await clock.advance(settleMs);
        }
        return running;
      };
      return { root, start, check };
    }

    it('passes with the command of the manifest in one container', async (test) => {
      const { check } = await node(test, { [first]: ['/usr/bin/etcd', '--name=cp1'] });
      const outcome = await check(first, 0);
      assert.equal(outcome.result, 'passed', outcome.summary);
      assert.match(outcome.summary, /etcd-cp1 runs with the command of its manifest/);
      assert.match(outcome.evidence[0]?.line ?? '', new RegExp(`container ${first}`));
      assert.equal((await check(undefined, 1000)).result, 'passed');
    });

    it('fails with another container than the one that was started', async (test) => {
      const { check } = await node(test, { [first]: ['etcd', '--name=cp1'] });
      assert.match((await check(second, 0)).summary, /is gone and another container runs/);
    });

    it('fails while none runs with the command of the manifest', async (test) => {
      const { check } = await node(test, { [first]: ['etcd', '--name=old'] });
      const outcome = await check(first, 0);
      assert.equal(outcome.result, 'failed');
      assert.match(outcome.summary, /no container runs with the command/);
    });

    it('fails when the container is another one before the settle time is over', async (test) => {
      const { root, start, check } = await node(test, { [first]: ['etcd', '--name=cp1'] });
      const outcome = await check(undefined, 1000, async () => {
        await rm(join(root, 'proc'), { recursive: true });
        await start(second, ['etcd', '--name=cp1']);
      });
      assert.match(outcome.summary, /another container runs/);
    });
  });

  it('is skipped where nothing runs', async () => {
    const deps = { layout, clock: new FakeClock(), run: systemctl({}).run };
    assert.equal((await checkUnit(deps, { process: { kind: 'none' } }, 5000, signal)).result, 'skipped');
  });

  it('rejects when systemctl does not answer', async () => {
    const run: RunCommand = async () => ({ code: 1, stdout: '', stderr: 'Failed to connect to bus' });
    const running = checkUnit({ layout, clock: new FakeClock(), run }, { process }, 0, signal);
    await assert.rejects(running, { reason: 'unavailable', message: /Failed to connect to bus/ });
  });
});
