import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { layoutBelow } from '../layout.ts';
import { BOOTED_AT_MS, putProcess } from './fake-proc.ts';
import { findContainers, runs } from './find-containers.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-proc-'));
after(() => rmSync(parent, { recursive: true }));
const newRoot = () => mkdtempSync(join(parent, 'x-'));

const ID = '0123456789abcdef'.repeat(4);
const OTHER = 'f'.repeat(64);

describe('findContainers', () => {
  it('takes no more of endless arguments than a component may have', async () => {
    const root = newRoot();
    putProcess(root, { pid: 7, argv: ['etcd'], cgroup: `0::/kubepods/pod1a/${ID}\n` });
    putProcess(root, { pid: 8, argv: ['sh'], cgroup: `0::/kubepods/pod1a/${ID}\n` });
    // what a process says of itself by prctl(2): a word, and zeros without end
    for (const pid of [7, 8]) truncateSync(join(root, 'proc', String(pid), 'cmdline'), 2 ** 40);
    const found = await findContainers(layoutBelow(root), 'etcd');
    assert.deepEqual(
      found.map(({ pid, argv }) => [pid, argv.length < 2 ** 20]),
      [[7, true]],
    );
    assert.ok(found.every((each) => !runs(each, ['etcd'])));
  });

  const forms: [title: string, cgroup: string, id: string | undefined][] = [
    ['containerd with cgroupfs', `0::/kubepods/burstable/pod1a2b-3c/${ID}\n`, ID],
    ['containerd with systemd', `0::/kubepods.slice/kubepods-pod1a_2b.slice/cri-containerd-${ID}.scope\n`, ID],
    ['containerd of old with systemd', `1:cpu:/system.slice/kubepods-pod1a.slice:cri-containerd:${ID}\n`, ID],
    ['CRI-O', `0::/kubepods.slice/kubepods-pod1a.slice/crio-${ID}.scope\n`, ID],
    ['CRI-O with a group below', `0::/kubepods.slice/kubepods-pod1a.slice/crio-${ID}.scope/container\n`, ID],
    ['docker', `0::/kubepods.slice/kubepods-pod1a.slice/docker-${ID}.scope\n`, ID],
    ['cgroup v1, whose lines need not all name it', `12:rdma:/\n11:cpu,cpuacct:/kubepods/pod1a/${ID}\n0::/\n`, ID],
    ['a node that is a container itself', `0::/docker/${OTHER}/kubelet/kubepods/pod1a/${ID}\n`, ID],
    [
      'containerd that does not use the cgroup driver of kubelet',
      `0::/system.slice/containerd.service/kubepods-burstable-pod1a.slice:cri-containerd:${ID}\n`,
      ID,
    ],
    ['a node without --cgroups-per-qos', `0::/k8s.io/${ID}\n`, ID],
    [
      'a user who made a group of that form',
      `0::/user.slice/user-1000.slice/user@1000.service/kubepods/pod1a/${ID}\n`,
      undefined,
    ],
    ['a service that made a group of that form', `0::/system.slice/web.service/kubepods/pod1a/${ID}\n`, undefined],
    ['a pod of the API, cgroupfs', `0::/kubepods/burstable/pod0a1b2c3d-0a1b-4c2d-8e3f-0123456789ab/${ID}\n`, undefined],
    [
      'a pod of the API, systemd',
      `0::/kubepods.slice/kubepods-pod0a1b2c3d_0a1b_4c2d_8e3f_0123456789ab.slice/crio-${ID}.scope\n`,
      undefined,
    ],
    [
      'a group that a pod of the API made below its own',
      `0::/kubepods/pod0a1b2c3d-0a1b-4c2d-8e3f-0123456789ab/${OTHER}/kubepods/pod${'1a'.repeat(16)}/${ID}\n`,
      undefined,
    ],
    ['no container', '0::/system.slice/etcd.service\n', undefined],
    ['a pod whose uid is no container', `0::/kubepods/burstable/pod${'a'.repeat(32)}\n`, undefined],
    ['longer hexadecimal digits', `0::/x/${ID}0\n`, undefined],
  ];
  for (const [title, cgroup, id] of forms) {
    it(`reads the control group of ${title}`, async () => {
      const root = newRoot();
      putProcess(root, { pid: 7, argv: ['etcd'], cgroup });
      const found = await findContainers(layoutBelow(root), 'etcd');
      assert.deepEqual(
        found.map(({ containerId }) => containerId),
        id === undefined ? [] : [id],
      );
    });
  }

  it('reads control groups below that of a node which is a pod or a service itself', async () => {
    for (const base of [
      `/kubepods/pod0a1b2c3d-0a1b-4c2d-8e3f-0123456789ab/${OTHER}`,
      '/machine.slice/systemd-nspawn@n1.service/payload',
    ]) {
      const root = newRoot();
      putProcess(root, { pid: 1, argv: ['/sbin/init'], cgroup: `0::${base}/init.scope\n` });
      putProcess(root, { pid: 7, argv: ['etcd'], cgroup: `0::${base}/kubepods/pod${'1a'.repeat(16)}/${ID}\n` });
      putProcess(root, { pid: 8, argv: ['etcd'], cgroup: `0::${base}/user.slice/user-1.slice/${ID}\n` });
      const found = await findContainers(layoutBelow(root), 'etcd');
      assert.deepEqual(
        found.map(({ pid }) => pid),
        [7],
      );
    }
  });

  it('tells the start in milliseconds, whatever the kernel calls the process, the newest first', async () => {
    const root = newRoot();
    const cgroup = `0::/kubepods/pod1a/${ID}\n`;
    putProcess(root, { pid: 9, argv: ['/usr/local/bin/etcd', '--name', 'a'], cgroup, startedAfterMs: 5_230 });
    putProcess(root, { pid: 8, argv: ['etcd'], cgroup, startedAfterMs: 90_000, name: 'a) S 1 (b' });
    assert.deepEqual(await findContainers(layoutBelow(root), 'etcd'), [
      { pid: 8, containerId: ID, argv: ['etcd'], startedAtMs: BOOTED_AT_MS + 90_000 },
      { pid: 9, containerId: ID, argv: ['/usr/local/bin/etcd', '--name', 'a'], startedAtMs: BOOTED_AT_MS + 5_230 },
    ]);
  });

  it('passes over other programs, kernel threads, and a process that is going away', async () => {
    const root = newRoot();
    const cgroup = `0::/kubepods/pod1a/${ID}\n`;
    putProcess(root, { pid: 7, argv: ['etcdctl', 'etcd'], cgroup });
    putProcess(root, { pid: 8, argv: [], cgroup });
    mkdirSync(join(root, 'proc', '9'));
    mkdirSync(join(root, 'proc', 'sys'));
    assert.deepEqual(await findContainers(layoutBelow(root), 'etcd'), []);
  });

  it('finds nothing without a /proc', async () => {
    assert.deepEqual(await findContainers(layoutBelow(newRoot()), 'etcd'), []);
  });
});

describe('runs', () => {
  const cases: [argv: string[], command: string[], is: boolean][] = [
    [['etcd', '--a', ''], ['/usr/bin/etcd', '--a', ''], true],
    [['/usr/bin/etcd', '--a'], ['etcd', '--a'], true],
    [['etcd', '--a'], ['etcd', '--b'], false],
    [['etcd', '--a'], ['etcd'], false],
    [['etcd'], ['etcd', '--a'], false],
    [['etcd', '/x/--a'], ['etcd', '--a'], false],
    [['etcdctl'], ['etcd'], false],
  ];
  for (const [argv, command, is] of cases) {
    it(`says ${is} of ${argv.join(' ')} for ${command.join(' ')}`, () =>
      assert.equal(runs({ pid: 1, containerId: ID, startedAtMs: 0, argv }, command), is));
  }
});
