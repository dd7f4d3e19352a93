import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { silentLog } from '../../common/log/log.ts';
import type { RunCommand } from '../../common/run/command.ts';
import { layoutBelow } from '../layout.ts';
import type { Dependant } from '../plan/change.ts';
import { BOOTED_AT_MS, putProcess } from '../process/fake-proc.ts';
import type { PodRef } from '../process/pod-containers.ts';
import { awaitContainer } from './await-container.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-await-'));
after(() => rmSync(parent, { recursive: true }));

const idOf = (digit: string) => digit.repeat(64);
const [OLD, NEW] = [idOf('a'), idOf('b')];
/** Long after every container of these tests started. */
const START_MS = BOOTED_AT_MS + 1_000_000;

/** A node whose time passes while somebody sleeps; things happen at their second. */
function makeNode(events: Record<number, (root: string) => Promise<void>> = {}) {
  const root = mkdtempSync(join(parent, 'root-'));
  const manifest = join(root, 'manifests/etcd.yaml');
  mkdirSync(dirname(manifest), { recursive: true });
  writeFileSync(manifest, 'spec: {containers: [{name: etcd, command: [etcd, --new]}]}\n');
  const process: PodRef = {
    kind: 'static-pod',
    pod: 'etcd-cp1',
    namespace: 'kube-system',
    container: 'etcd',
    manifest,
  };
  let nowMs = START_MS;
  let aheadMs = 0;
  const left = new Map(Object.entries(events).map(([second, event]) => [Number(second), event]));
  const clock = {
    nowMs: () => nowMs + aheadMs,
    monotonicMs: () => nowMs - BOOTED_AT_MS,
    async sleep(ms: number, signal?: AbortSignal) {
      signal?.throwIfAborted();
      nowMs += ms;
      for (const [second, event] of left) {
        if (nowMs < START_MS + second * 1000) continue;
        left.delete(second);
        await event(root);
      }
    },
  };
  /** What was ended, and after how many seconds. */
  const killed: [command: string | undefined, pid: string | undefined, second: number][] = [];
  const seconds = () => (nowMs - START_MS) / 1000;
  const run: RunCommand = async ([, , command, pid]) => {
    killed.push([command, pid, seconds()]);
    return { code: 0, stdout: '', stderr: '' };
  };
  const deps = { layout: layoutBelow(root), clock, log: silentLog, run };
  const dependants: Dependant[] = [
    {
      component: 'kube-apiserver',
      process: {
        ...process,
        pod: 'kube-apiserver-cp1',
        container: 'kube-apiserver',
        manifest: join(root, 'manifests/api.yaml'),
      },
    },
  ];
  writeFileSync(
    join(root, 'manifests/api.yaml'),
    'spec: {containers: [{name: kube-apiserver, command: [kube-apiserver]}]}\n',
  );
  const wait = (replaced: string[], mayStay?: string, signal?: AbortSignal) =>
    awaitContainer(
      deps,
      { component: 'etcd', process, askedAtMs: START_MS, replaced: new Set(replaced), mayStay, dependants },
      signal,
    );
  /** Sets the wall clock. */
  const step = (ms: number) => {
    aheadMs += ms;
  };
  return { root, manifest, wait, seconds, killed, step };
}

const putProgram =
  (pid: number, id: string, argv: string[], startedAtS = 1) =>
  async (root: string) => {
    const cgroup = `0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-${id}.scope\n`;
    putProcess(root, { pid, argv, cgroup, startedAfterMs: startedAtS * 1000 });
  };
const put = (pid: number, id: string, flag: string, startedAtS?: number) =>
  putProgram(pid, id, ['etcd', flag], startedAtS);
const putApiserver = putProgram(7, idOf('c'), ['kube-apiserver']);
const end = (pid: number) => async (root: string) => rmSync(join(root, 'proc', String(pid)), { recursive: true });

describe('awaitContainer', () => {
  it('is content with a new container, as soon as the one before is gone', async () => {
    const { root, manifest, wait, seconds } = makeNode({ 10: put(2, NEW, '--new', 1010), 20: end(1) });
    await put(1, OLD, '--old')(root);
    const restarted = await wait([OLD]);
    assert.equal(seconds(), 20);
    assert.deepEqual(restarted, {
      component: 'etcd',
      process: { kind: 'static-pod', pod: 'etcd-cp1', namespace: 'kube-system', container: 'etcd', manifest },
      unit: 'etcd-cp1',
      live: false,
      cursor: '',
      startedAtMs: START_MS + 10_000,
      invocationId: NEW,
      ended: [],
      ok: true,
      detail: 'container bbbbbbbbbbbb runs',
    });
  });

  it('never tells a start before it was asked: the boot is known to a second only', async () => {
    const { root, wait } = makeNode();
    await put(2, NEW, '--new', 999)(root);
    assert.equal((await wait([])).startedAtMs, START_MS);
  });

  it('takes no container that runs with the same arguments for a new one, when it was there before', async () => {
    const { root, wait, seconds } = makeNode({ 30: end(1), 31: put(2, NEW, '--new') });
    await put(1, OLD, '--new')(root);
    assert.equal((await wait([OLD])).invocationId, NEW);
    assert.equal(seconds(), 31);
  });

  it('waits no longer than needed where another program of that name runs', async () => {
    const { root, wait, seconds } = makeNode();
    await put(1, OLD, '--another-cluster')(root);
    await put(2, NEW, '--new')(root);
    assert.ok((await wait([])).ok);
    assert.equal(seconds(), 0);
  });

  it('waits for a container that comes after others that ended at once', async () => {
    const crashes = Object.fromEntries(
      [10, 30, 70].flatMap((second, at) => [
        [second, put(10 + at, idOf(String(at)), '--broken')],
        [second + 1, end(10 + at)],
      ]),
    );
    const { wait, seconds } = makeNode({ ...crashes, 100: put(2, NEW, '--new') });
    assert.ok((await wait([])).ok);
    assert.equal(seconds(), 100);
  });

  const failures: [title: string, prepare: (root: string) => Promise<void>, seen: (manifest: string) => string][] = [
    ['none comes', async () => {}, (path) => `no new container runs with the command of ${path}`],
    [
      'the one before does not end',
      async (root) => {
        await put(1, OLD, '--old')(root);
        await put(2, NEW, '--new')(root);
      },
      () => 'container aaaaaaaaaaaa from before still runs',
    ],
    [
      'one with other arguments comes',
      put(2, NEW, '--other'),
      (path) => `container bbbbbbbbbbbb runs with other arguments; no new container runs with the command of ${path}`,
    ],
  ];
  for (const [title, prepare, seen] of failures) {
    it(`answers after five minutes that ${title}`, async () => {
      const { root, manifest, wait, seconds } = makeNode();
      await prepare(root);
      const { ok, detail, startedAtMs, invocationId } = await wait([OLD]);
      assert.equal(seconds(), 300);
      assert.deepEqual([ok, startedAtMs, invocationId], [false, START_MS, '']);
      assert.equal(detail, `kubelet did not restart etcd-cp1 within 300 s: ${seen(manifest)}`);
    });
  }

  it('answers the same when the manifest is gone', async () => {
    const { manifest, wait } = makeNode();
    rmSync(manifest);
    assert.equal((await wait([])).ok, false);
  });

  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`waits and ends in the same times when the wall clock is set by ${stepMs} ms`, async () => {
      const late = makeNode({ 100: async () => late.step(stepMs) });
      assert.equal((await late.wait([OLD])).ok, false);
      assert.equal(late.seconds(), 300);
      const staying = makeNode({ 30: async () => staying.step(stepMs) });
      await put(1, OLD, '--new')(staying.root);
      assert.equal((await staying.wait([], OLD)).invocationId, OLD);
      assert.equal(staying.seconds(), 90);
      const hung = makeNode({ 10: end(1), 11: async () => hung.step(stepMs), 30: put(2, NEW, '--new', 1030) });
      await put(1, OLD, '--old')(hung.root);
      await putApiserver(hung.root);
      await hung.wait([OLD]);
      assert.deepEqual(hung.killed, [['kill -KILL "$0"', '7', 13]]);
    });
  }

  it('rejects at the signal', async () => {
    const { wait } = makeNode();
    await assert.rejects(wait([], undefined, AbortSignal.abort()), { name: 'AbortError' });
  });

  it('leaves a container that may stay when kubelet has not touched it for 90 s', async () => {
    const { root, wait, seconds } = makeNode();
    await put(1, OLD, '--new')(root);
    const { ok, invocationId, detail } = await wait([], OLD);
    assert.equal(seconds(), 90);
    assert.deepEqual([ok, invocationId], [true, OLD]);
    assert.match(detail, /^container aaaaaaaaaaaa runs as before/);
  });

  it('counts these 90 s from when the replaced ones are gone', async () => {
    const { root, wait, seconds } = makeNode({ 60: end(2) });
    await put(1, OLD, '--new')(root);
    await put(2, NEW, '--new')(root);
    assert.equal((await wait([NEW], OLD)).invocationId, OLD);
    assert.equal(seconds(), 150);
  });

  it('waits for the next container when one that may stay is being ended after all', async () => {
    const { root, wait, seconds } = makeNode({ 20: put(2, NEW, '--new'), 40: end(1) });
    await put(1, OLD, '--new')(root);
    assert.equal((await wait([], OLD)).invocationId, NEW);
    assert.equal(seconds(), 40);
  });
});

describe('awaitContainer, where kubelet hangs on an API server that hangs for want of etcd', () => {
  const apiserver = ['kube-apiserver'];

  it('ends the API server, once, when nothing of etcd has run for three seconds', async () => {
    const { root, wait, killed } = makeNode({ 10: end(1), 30: put(2, NEW, '--new', 1030) });
    await put(1, OLD, '--old')(root);
    await putApiserver(root);
    const { ok, ended } = await wait([OLD]);
    assert.deepEqual([ok, ended, killed], [true, apiserver, [['kill -KILL "$0"', '7', 13]]]);
  });

  it('ends it on the way back too, where a container that may stay has gone', async () => {
    const { root, wait, killed } = makeNode({ 10: end(1), 30: put(2, NEW, '--new', 1030) });
    await put(1, OLD, '--new')(root);
    await putApiserver(root);
    assert.deepEqual((await wait([], OLD)).ended, apiserver);
    assert.equal(killed.length, 1);
  });

  it('leaves it alone while the old container runs, and where the new one comes sooner', async () => {
    const { root, wait, killed } = makeNode({ 60: end(1), 62: put(2, NEW, '--new', 1062) });
    await put(1, OLD, '--old')(root);
    await putApiserver(root);
    assert.deepEqual([(await wait([OLD])).ended, killed], [[], []]);
  });

  it('ends nothing where no API server runs', async () => {
    const { root, wait, killed } = makeNode({ 10: end(1), 30: put(2, NEW, '--new', 1030) });
    await put(1, OLD, '--old')(root);
    assert.deepEqual([(await wait([OLD])).ended, killed], [[], []]);
  });
});
