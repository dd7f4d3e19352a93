import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RunCommand } from '../../common/run/command.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
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
  const started = invocationId === undefined ? { unit: 'etcd.service' } : { unit: 'etcd.service', invocationId };
  const running = checkUnit({ clock, run }, started, 5000, signal);
  for (let second = 0; second < 10; second++) await clock.advance(1000);
  return running;
}

describe('checkUnit', () => {
  it('watches for the whole settle time before it passes', async () => {
    const clock = new FakeClock();
    const { run, asked } = systemctl({});
    const running = checkUnit({ clock, run }, { unit: 'etcd.service', invocationId: 'aaaa' }, 5000, signal);
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

  it('looks once when there is nothing to settle', async () => {
    const { run, asked } = systemctl({});
    const outcome = await checkUnit({ clock: new FakeClock(), run }, { unit: 'etcd.service' }, 0, signal);
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

  it('rejects when systemctl does not answer', async () => {
    const run: RunCommand = async () => ({ code: 1, stdout: '', stderr: 'Failed to connect to bus' });
    const running = checkUnit({ clock: new FakeClock(), run }, { unit: 'etcd.service' }, 0, signal);
    await assert.rejects(running, { reason: 'unavailable', message: /Failed to connect to bus/ });
  });
});
