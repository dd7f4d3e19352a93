import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { silentLog } from '../../common/log/log.ts';
import type { ComponentState } from '../../common/names/names.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { until } from '../../common/time/until-for-tests.ts';
import type { TlsObservationSchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { Component } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { StatusBoard } from '../report/status-board.ts';
import { OwnCalls } from '../verify/own-calls.ts';
import { FindingLog } from './finding-log.ts';
import { POLL_MS } from './follow-pod-logs.ts';
import { newestEntry } from './journalctl-for-tests.ts';
import type { SpawnProgram } from './spawn-program.ts';
import { type WatchedProcess, watchJournals } from './watch-journals.ts';

const LOGGED_MS = 1_795_519_998_821;

/** A line of an etcd that a caller from that address refused. */
const refusedBy = (remote: string) =>
  `{"level":"warn","msg":"rejected connection","remote-addr":"${remote}","error":"remote error: tls: bad certificate"}`;
/** A line of a client of the API server at that address, which it does not trust. */
const distrusts = (remote: string) =>
  `E0101 00:00:00.000000 1 reflector.go:138] failed to list *v1.Node: Get "https://${remote}/api/v1/nodes": ` +
  'x509: certificate signed by unknown authority';

/** The watch of a node whose journals the test writes. */
async function begin(test: TestContext) {
  const clock = new FakeClock();
  const board = new StatusBoard(() => clock.nowMs());
  const findings = new FindingLog(clock);
  const own = new OwnCalls(clock);
  const told: MessageInitShape<typeof TlsObservationSchema>[] = [];
  const doubted: string[] = [];
  const lines: string[] = [];
  let wake: () => void = () => {};
  const argvs: string[][] = [];
  const processes: WatchedProcess[] = [];
  const podLogs = await mkdtemp(join(tmpdir(), 'kube-mtls-watch-'));
  const spawn: SpawnProgram = (argv) => {
    if (argv.includes('--lines=1')) return newestEntry(argv);
    argvs.push([...argv]);
    let over = false;
    const ended = Promise.withResolvers<{ code: number; stderr: string }>();
    async function* stdout() {
      for (;;) {
        const line = lines.shift();
        if (line !== undefined) yield Buffer.from(line);
        else if (over) return;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    }
    const kill = () => {
      over = true;
      wake();
      ended.resolve({ code: 137, stderr: '' });
    };
    return { stdout: stdout(), ended: ended.promise, kill };
  };
  const stop = new AbortController();
  const observe = (observation: (typeof told)[number]) => told.push(observation);
  const watching = watchJournals(
    {
      journal: { spawn, clock, log: silentLog },
      clock,
      podLogs,
      processes: () => processes,
      board,
      findings,
      own,
      observe,
      doubt: (component) => void doubted.push(component),
    },
    stop.signal,
  );
  test.after(async () => {
    stop.abort();
    await watching;
    await rm(podLogs, { recursive: true });
  });
  let cursor = 0;
  const push = async (by: object, messages: string[]) => {
    for (const message of messages) {
      const fields = { __CURSOR: `c${cursor++}`, __REALTIME_TIMESTAMP: `${LOGGED_MS}017`, _UID: '0' };
      lines.push(`${JSON.stringify({ ...fields, ...by, MESSAGE: message })}\n`);
    }
    wake();
    await clock.advance(0);
  };
  const write = (unit: string, ...messages: string[]) => push({ _PID: '87', _SYSTEMD_UNIT: unit }, messages);
  const systemd = (unit: string, ...messages: string[]) => push({ _PID: '1', UNIT: unit }, messages);
  /** Until both the pods and the names of the units were looked at; what was counted is waited for too. */
  const looked = () => until(() => clock.sleeping === 3, 'all three to sleep');
  const look = async () => {
    await looked();
    await clock.advance(POLL_MS);
    await looked();
  };
  await looked();
  return {
    clock,
    board,
    findings,
    own,
    told,
    doubted,
    argvs,
    processes,
    podLogs,
    write,
    systemd,
    look,
    stop,
    watching,
  };
}

describe('watchJournals', () => {
  it('tells of a failure, with its line and the time at which it was logged', async (test) => {
    const { told, argvs, write } = await begin(test);
    await write('etcd.service', refusedBy('10.0.0.5:43210'));
    const [{ loggedAt, ...observation } = assert.fail()] = told;
    assert.deepEqual(observation, {
      component: Component.ETCD,
      unit: 'etcd.service',
      cause: 'refused-by-peer',
      fault: 'own',
      remote: '10.0.0.5',
      line: refusedBy('10.0.0.5:43210'),
      count: 1,
    });
    assert.equal(Number(loggedAt?.seconds) * 1000 + (loggedAt?.nanos ?? 0) / 1e6, LOGGED_MS);
    for (const unit of [
      'etcd',
      'kube-apiserver',
      'kubelet',
      'kube-controller-manager',
      'kube-scheduler',
      'kube-proxy',
    ]) {
      assert.ok(argvs[0]?.includes(`--unit=${unit}.service`), unit);
    }
  });

  it('counts the same, and tells the count once a minute, whichever port the caller has', async (test) => {
    const { clock, told, findings, write } = await begin(test);
    await write('etcd.service', refusedBy('10.0.0.5:43210'), refusedBy('10.0.0.5:43211'));
    await clock.advance(59_999);
    await write('etcd.service', refusedBy('10.0.0.5:43212'));
    assert.equal(told.length, 1);
    await clock.advance(1);
    assert.deepEqual(
      told.map(({ count }) => count),
      [1, 2],
    );
    assert.equal(findings.since(0).length, 3);
  });

  it('asks for a proof of what writes of a failure', async (test) => {
    const { board, doubted, write } = await begin(test);
    await write('etcd.service', refusedBy('10.0.0.5:1'), 'ready to serve client requests');
    await write('kubelet.service', distrusts('10.0.0.1:6443'));
    assert.deepEqual(doubted, ['etcd', 'kubelet']);
    board.set('etcd', { state: 'verifying' });
    await write('etcd.service', refusedBy('10.0.0.5:1'));
    assert.equal(doubted.length, 2);
  });

  it('tells of a process that ends by itself, and not of one that somebody stops', async (test) => {
    const { clock, told, systemd } = await begin(test);
    const unit = 'kube-controller-manager.service';
    // it gives up its lease with an error
    const ended = [
      `${unit}: Main process exited, code=exited, status=255/EXCEPTION`,
      `${unit}: Failed with result 'exit-code'.`,
    ];
    await systemd(
      unit,
      'Stopping Kubernetes Controller Manager...',
      ...ended,
      'Stopped Kubernetes Controller Manager.',
    );
    await systemd(unit, 'Started Kubernetes Controller Manager.');
    assert.deepEqual(told, []);
    await clock.advance(60_000);
    await systemd(unit, ...ended);
    assert.deepEqual(
      told.map(({ cause }) => cause),
      ['start-failed'],
    );
  });

  it('tells of each caller, each server and each speaker', async (test) => {
    const { told, write } = await begin(test);
    await write('etcd.service', refusedBy('10.0.0.5:1'), refusedBy('10.0.0.6:1'));
    await write('kubelet.service', distrusts('10.0.0.1:6443'), distrusts('10.0.0.1:7443'));
    assert.deepEqual(
      told.map(({ remote }) => remote),
      ['10.0.0.5', '10.0.0.6', '10.0.0.1:6443', '10.0.0.1:7443'],
    );
  });

  const states: [state: ComponentState, told: number][] = [
    ['verified', 1],
    ['waiting-for-permit', 1],
    ['rolled-back', 1],
    ['applying', 0],
    ['verifying', 0],
  ];
  for (const [state, count] of states) {
    it(`tells ${count} of a component that is ${state}, and none is forgotten`, async (test) => {
      const { board, told, findings, write } = await begin(test);
      board.set('etcd', { state });
      await write('etcd.service', refusedBy('10.0.0.5:1'));
      assert.equal(told.length, count);
      assert.equal(findings.since(0).length, 1);
      board.set('etcd', { state: 'verified' });
      await write('etcd.service', refusedBy('10.0.0.5:2'));
      assert.equal(told.length, 1); // what was kept back does not count as told
    });
  }

  const others: [unit: string, component: Component][] = [
    ['kube-controller-manager.service', Component.KUBE_CONTROLLER_MANAGER],
    ['kube-scheduler.service', Component.KUBE_SCHEDULER],
    ['kube-proxy.service', Component.KUBE_PROXY],
  ];
  for (const [unit, component] of others) {
    it(`tells of what ${unit} says of the API server`, async (test) => {
      const { told, write } = await begin(test);
      await write(unit, distrusts('10.0.0.1:6443'));
      assert.deepEqual(
        told.map((one) => [one.component, one.cause]),
        [[component, 'unknown-authority']],
      );
    });
  }

  it('reads a unit that was found under another name, from where it was', async (test) => {
    const { told, argvs, processes, write, look } = await begin(test);
    await write('etcd.service', refusedBy('10.0.0.5:1'));
    processes.push({ component: 'etcd', process: { kind: 'unit', unit: 'etcd-member.service' } });
    await look();
    const [first, second] = argvs;
    assert.ok(!first?.includes('--unit=etcd-member.service'));
    assert.ok(second?.includes('--unit=etcd-member.service') && second.includes('--cursor=c0'));
    await write('etcd-member.service', refusedBy('10.0.0.6:1'));
    assert.deepEqual(
      told.map(({ unit }) => unit),
      ['etcd.service', 'etcd-member.service'],
    );
    await look();
    assert.equal(argvs.length, 2);
  });

  it('tells of a static pod within one look, under the name of the pod', async (test) => {
    const { told, findings, processes, podLogs, look } = await begin(test);
    const ref = { pod: 'etcd-cp1', namespace: 'kube-system', container: 'etcd', manifest: '/m/etcd.yaml' };
    processes.push({ component: 'etcd', process: { kind: 'static-pod', ...ref } });
    await look();
    const folder = join(podLogs, 'kube-system_etcd-cp1_aaa/etcd');
    await mkdir(folder, { recursive: true });
    const line = refusedBy('10.0.0.5:43210');
    await writeFile(join(folder, '0.log'), `${new Date(LOGGED_MS).toISOString()} stderr F ${line}\n`);
    await look();
    assert.equal(findings.since(0).length, 1);
    assert.deepEqual(
      told.map(({ component, unit, cause, line: text }) => [component, unit, cause, text]),
      [[Component.ETCD, 'etcd-cp1', 'refused-by-peer', line]],
    );
  });

  it('says nothing of our own probes, of what is no failure, and of other units', async (test) => {
    const { own, told, findings, write } = await begin(test);
    const probe = own.remembering(async ({ onConnect }) => {
      onConnect?.('127.0.0.1:40000');
      return { kind: 'unreachable', detail: '' };
    });
    const request = { host: '127.0.0.1', port: 2379, tls: undefined, method: 'GET', path: '/', timeoutMs: 1 } as const;
    await probe({ ...request, signal: new AbortController().signal });
    await write('etcd.service', refusedBy('127.0.0.1:40000'), 'ready to serve client requests', 'hello');
    await write('sshd.service', refusedBy('10.0.0.5:1'));
    assert.deepEqual([told.length, findings.since(0).length], [0, 0]);
  });

  it('ends when the signal fires', async (test) => {
    const { stop, watching } = await begin(test);
    stop.abort();
    await watching;
  });
});
