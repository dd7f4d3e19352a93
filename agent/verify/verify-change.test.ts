import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { layoutBelow } from '../layout.ts';
import type { RestartedUnit } from '../restart/restart-unit.ts';
import { detectedEtcd } from './detected-for-tests.ts';
import type { Expectation } from './expectation.ts';
import { folderOf, testAuthority } from './pki-for-tests.ts';
import type { Probe } from './probe.ts';
import { type VerifyDeps, verifyComponent } from './verify-change.ts';

const restarted: RestartedUnit = {
  component: 'etcd',
  process: { kind: 'unit', unit: 'etcd.service' },
  unit: 'etcd.service',
  live: false,
  cursor: 'c',
  startedAtMs: 0,
  invocationId: 'aaaa',
  ok: true,
  detail: 'active (running)',
};

/** A plaintext etcd that is well, on a host that a test can break. */
function host() {
  const clock = new FakeClock(0);
  const steps: string[] = [];
  const state = {
    active: true,
    healthy: true,
    words: 'ActiveState=failed\nMainPID=0',
    invocation: 'aaaa',
    restarts: 0,
  };
  const probe: Probe = async ({ path }) => {
    steps.push(`probe ${path}`);
    if (!state.healthy) return { kind: 'unreachable', detail: 'connect ECONNREFUSED' };
    const answers: Record<string, object> = {
      '/health': { health: 'true' },
      '/v3/maintenance/status': { leader: '1' },
      '/v3/cluster/member/list': { header: { cluster_id: '1', member_id: '1' }, members: [] },
    };
    return { kind: 'answered', status: 200, body: JSON.stringify(answers[path]), served: undefined };
  };
  const deps: VerifyDeps = {
    clock,
    probe,
    layout: layoutBelow('/nowhere'),
    run: async () => {
      steps.push('systemctl');
      const words = state.active ? 'ActiveState=active\nMainPID=1' : state.words;
      const run = `InvocationID=${state.invocation}\nNRestarts=${state.restarts}`;
      return { code: 0, stdout: `${words}\n${run}\n`, stderr: '' };
    },
    judgeJournal: async () => {
      steps.push('journal');
      return { kind: 'journal', result: 'passed', summary: 'quiet', evidence: [] };
    },
  };
  return { clock, steps, state, deps };
}

async function expectation(test: TestContext): Promise<Expectation> {
  const authority = await testAuthority('etcd-ca');
  const client = await authority.issue();
  return {
    detected: detectedEtcd({}),
    folder: await folderOf(test, { 'healthcheck-client': client }),
    serials: new Map(),
    target: 'prepared',
    live: false,
    rootsPem: new Map([['etcd', authority.rootsPem]]),
  };
}

describe('verifyComponent', () => {
  /** Runs it with the clock moved on until it ends, and tells how long it took. */
  async function verify(
    test: TestContext,
    { clock, deps }: ReturnType<typeof host>,
    change: Partial<Expectation> = {},
    signal = new AbortController().signal,
    unit = restarted,
  ) {
    const running = verifyComponent(deps, { ...(await expectation(test)), ...change }, unit, signal);
    let ended = false;
    const done = running.finally(() => {
      ended = true;
    });
    done.catch(() => {});
    while (!ended) await clock.advance(clock.sleeping > 0 ? 500 : 0);
    const outcomes = await done;
    return { results: outcomes.map(({ kind, result }) => `${kind} ${result}`), outcomes, tookMs: clock.nowMs() };
  }

  it('tells unit, journal, handshake and cluster, and reads the journal last', async (test) => {
    const well = host();
    const { results } = await verify(test, well);
    assert.deepEqual(results, ['unit passed', 'journal passed', 'handshake skipped', 'cluster passed']);
    assert.equal(well.steps.at(-1), 'journal');
    assert.equal(well.steps.at(-2), 'systemctl', 'the unit is looked at once more after the probes');
  });

  it('makes every check and tries once when the unit has failed', async (test) => {
    const broken = host();
    broken.state.active = false;
    broken.state.healthy = false;
    const { results, tookMs } = await verify(test, broken);
    assert.deepEqual(results, ['unit failed', 'journal passed', 'handshake failed', 'cluster failed']);
    assert.ok(tookMs < 1000, `${tookMs} ms`);
  });

  it('watches the process for five seconds: one that falls over meanwhile has not stayed up', async (test) => {
    const falling = host();
    falling.clock.sleep(4_000).then(
      () => {
        falling.state.active = false;
      },
      () => {},
    );
    const { results, tookMs } = await verify(test, falling);
    assert.equal(results[0], 'unit failed');
    assert.ok(tookMs >= 4_000, `${tookMs} ms`);
    assert.equal((await verify(test, host())).tookMs, 5_000);
  });

  it('waits for a component that is slow to answer', async (test) => {
    const slow = host();
    slow.state.healthy = false;
    slow.clock.sleep(30_000).then(
      () => {
        slow.state.healthy = true;
      },
      () => {},
    );
    const { results, tookMs } = await verify(test, slow);
    assert.deepEqual(results, ['unit passed', 'journal passed', 'handshake skipped', 'cluster passed']);
    assert.ok(tookMs >= 30_000 && tookMs < 35_000, `${tookMs} ms`);
  });

  it('ends after the time that the component is given', async (test) => {
    const dead = host();
    dead.state.healthy = false;
    const { results, tookMs } = await verify(test, dead);
    assert.deepEqual(results, ['unit passed', 'journal passed', 'handshake failed', 'cluster failed']);
    assert.ok(tookMs >= 60_000 && tookMs <= 70_000, `${tookMs} ms`);
  });

  it('gives a process that was left running the time to take new files up', async (test) => {
    const dead = host();
    dead.state.healthy = false;
    const live = { ...restarted, live: true };
    const { results, tookMs } = await verify(test, dead, { live: true }, new AbortController().signal, live);
    assert.deepEqual(results, ['unit passed', 'journal passed', 'handshake failed', 'cluster failed']);
    assert.ok(tookMs >= 150_000 && tookMs <= 160_000, `${tookMs} ms`);
  });

  it('fails when a process that was left running is another one now', async (test) => {
    const live = { ...restarted, live: true, invocationId: 'bbbb' };
    const { outcomes } = await verify(test, host(), { live: true }, new AbortController().signal, live);
    assert.equal(outcomes[0]?.result, 'failed');
    assert.match(outcomes[0]?.summary ?? '', /the process that was to take the new files up is gone/);
  });

  describe('when the process ends and systemd starts another one', () => {
    const manager: RestartedUnit = { ...restarted, component: 'kube-controller-manager' };

    /** From its third second on a process of the unit ends, so many times, and another is started two seconds later. */
    function ending(times: number) {
      const unit = host();
      const { clock, state, deps } = unit;
      const end = async () => {
        for (let count = 1; count <= times; count++) {
          await clock.sleep(3_000);
          Object.assign(state, { active: false, words: 'ActiveState=activating\nMainPID=0' });
          await clock.sleep(2_000);
          Object.assign(state, { active: true, invocation: `run ${count}`, restarts: count });
        }
      };
      void end();
      const line = 'configmaps "extension-apiserver-authentication" is forbidden';
      const evidence = [
        { source: 'journal', line, observedAtMs: 0, cause: 'untrusted-identity', rank: 'hint' as const },
      ];
      deps.judgeJournal = async (_, { invocationId }) => {
        unit.steps.push('journal');
        const ended = invocationId !== `run ${times}`;
        return { kind: 'journal', result: ended ? 'failed' : 'passed', summary: '', evidence: ended ? evidence : [] };
      };
      return unit;
    }

    it('verifies that one of a manager, and tells why the first one ended', async (test) => {
      const { results, outcomes } = await verify(test, ending(1), {}, new AbortController().signal, manager);
      assert.deepEqual(results, ['unit passed', 'journal passed', 'handshake skipped', 'cluster passed']);
      assert.match(outcomes[0]?.evidence.at(-1)?.line ?? '', /^a process before ended: configmaps .* is forbidden$/);
    });

    it('fails when it goes on ending', async (test) => {
      const unit = ending(Number.POSITIVE_INFINITY);
      const { results } = await verify(test, unit, {}, new AbortController().signal, manager);
      assert.deepEqual(results.slice(0, 2), ['unit failed', 'journal failed']);
      assert.equal(unit.steps.filter((step) => step === 'journal').length, 3, 'three processes had their chance');
    });

    it('verifies that one of an API server, whose etcd may not have answered as it started, but no third one', async (test) => {
      const apiserver = { ...manager, component: 'kube-apiserver' as const };
      const { results } = await verify(test, ending(1), {}, new AbortController().signal, apiserver);
      assert.deepEqual(results.slice(0, 2), ['unit passed', 'journal passed']);
      const unit = ending(Number.POSITIVE_INFINITY);
      const again = await verify(test, unit, {}, new AbortController().signal, apiserver);
      assert.deepEqual(again.results.slice(0, 2), ['unit failed', 'journal failed']);
      assert.equal(unit.steps.filter((step) => step === 'journal').length, 2, 'two processes had their chance');
    });

    it('fails when none is started, or the unit has failed for good', async (test) => {
      for (const words of ['ActiveState=activating\nMainPID=0', 'ActiveState=failed\nMainPID=0']) {
        const dead = host();
        Object.assign(dead.state, { active: false, words });
        const { results, tookMs } = await verify(test, dead, {}, new AbortController().signal, manager);
        assert.equal(results[0], 'unit failed');
        assert.ok(tookMs < 25_000, `${tookMs} ms`);
      }
    });

    it('fails for an etcd, which nobody else ends, and for one that was left running', async (test) => {
      for (const unit of [restarted, { ...manager, live: true }]) {
        const { results } = await verify(test, ending(1), {}, new AbortController().signal, unit);
        assert.equal(results[0], 'unit failed', unit.component);
      }
    });
  });

  it('skips the unit check where nothing runs', async (test) => {
    const files = { ...restarted, process: { kind: 'none' as const } };
    const { results } = await verify(test, host(), {}, new AbortController().signal, files);
    assert.equal(results[0], 'unit skipped');
  });

  it('gives up at once when the unit dies while it waits, and says so', async (test) => {
    const dying = host();
    dying.state.healthy = false;
    dying.clock.sleep(10_000).then(
      () => {
        dying.state.active = false;
      },
      () => {},
    );
    const { results, tookMs } = await verify(test, dying);
    assert.equal(results[0], 'unit failed');
    assert.ok(tookMs < 15_000, `${tookMs} ms`);
  });

  it('counts a check that cannot be made as failed', async (test) => {
    const blind = host();
    blind.deps.judgeJournal = () => Promise.reject(new AppError('unavailable', 'journalctl failed: check journald'));
    const { outcomes, results } = await verify(test, blind, { folder: '/nowhere' });
    assert.deepEqual(results, ['unit passed', 'journal failed', 'handshake skipped', 'cluster failed']);
    assert.equal(outcomes[1]?.summary, 'journalctl failed: check journald');
    assert.match(outcomes[3]?.summary ?? '', /\/nowhere\/healthcheck-client\.crt cannot be read/);
  });

  it('does not hide a bug of ours behind a failed check', async (test) => {
    const buggy = host();
    buggy.deps.judgeJournal = () => Promise.reject(new TypeError('x is not a function'));
    await assert.rejects(verify(test, buggy), TypeError);
  });

  it('stops when its signal fires', async (test) => {
    const dead = host();
    dead.state.healthy = false;
    const stop = new AbortController();
    dead.clock.sleep(20_000).then(
      () => stop.abort(),
      () => {},
    );
    await assert.rejects(verify(test, dead, {}, stop.signal), { name: 'AbortError' });
  });
});
