import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import { putProcess } from '../process/fake-proc.ts';
import type { PodRef } from '../process/pod-containers.ts';
import { endingSlowPod } from './end-slow-pod.ts';
import { FakeServer, turns } from './fake-server.ts';
import { restartPod } from './restart-pod.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-slow-pod-'));
after(() => rmSync(parent, { recursive: true }));

const [OLD, NEW, COPY] = ['a', 'b', 'c'].map((digit) => digit.repeat(64));
const manifestOf = (word: string) =>
  `spec: {containers: [{name: kube-apiserver, command: [kube-apiserver, ${word}]}]}\n`;

/** A static pod whose API server closes its port when the manifest changes, and ends a minute later. */
function slowPod() {
  const server = new FakeServer(parent);
  const { root } = server.deps.layout;
  const manifest = join(root, 'kube-apiserver.yaml');
  writeFileSync(manifest, manifestOf('--old'));
  server.enter(OLD ?? '', ['kube-apiserver', '--old']);
  const container = 'kube-apiserver';
  const pod: PodRef = { kind: 'static-pod', pod: 'kube-apiserver-cp1', namespace: 'kube-system', container, manifest };
  const write = async () => {
    writeFileSync(manifest, manifestOf('--new'));
    server.listen(false);
    server.at(server.nowMs + 60_000, () => server.die());
    void server.ended.then(() => {
      putProcess(root, { pid: 77, argv: ['kube-apiserver', '--new'], cgroup: `0::/kubepods/pod1/${NEW}\n` });
    });
  };
  return { server, root, pod, write, restart: () => restartPod(server.deps, 'kube-apiserver', pod, [], write) };
}

describe('an API server that is slow to stop, as a static pod', () => {
  it('is ended once it has closed its port', async () => {
    const { server, restart } = slowPod();
    const { ok, invocationId } = await restart();
    assert.deepEqual([ok, invocationId], [true, NEW]);
    assert.deepEqual(
      server.signals.map(([name]) => name),
      ['TERM'],
    );
    assert.ok(server.nowMs < 10_000, `${server.nowMs} ms`);
  });

  it('is ended, and not a process that takes its arguments and serves nobody', async () => {
    const { server, root, restart } = slowPod();
    const copy = {
      pid: 4711,
      argv: ['kube-apiserver', '--old'],
      cgroup: `0::/user.slice/${COPY}\n`,
      startedAfterMs: 5000,
    };
    putProcess(root, copy);
    const { run } = server.deps;
    const killed: (string | undefined)[] = [];
    server.deps.run = async (argv, options) => {
      if (argv[0] === 'sh') killed.push(argv[3]);
      return run(argv, options);
    };
    await restart();
    assert.deepEqual(killed, [String(server.pid)]);
  });

  const rows: [title: string, component: Component, replaced: string | undefined][] = [
    ['when it is a container that is not replaced', 'kube-apiserver', NEW],
    ['when it is another component, which may be slow for its own reasons', 'etcd', OLD],
  ];
  for (const [title, component, replaced] of rows) {
    it(`is left alone ${title}`, async () => {
      const { server, pod, write } = slowPod();
      await endingSlowPod(server.deps, component, pod, new Set([replaced ?? '']), async () => {
        await write();
        await turns(500);
      });
      assert.deepEqual([server.signals, server.nowMs], [[], 0]);
    });
  }
});
