import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { kubeconfigText } from './certificate-for-tests.ts';
import { detectNode } from './detect-node.ts';
import { FakeNode } from './fake-node.ts';
import type { DetectOverrides } from './overrides.ts';

const id = 'ab'.repeat(32);

describe('programs that run and that nothing on the node tells of', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await FakeNode.create();
  });
  afterEach(() => node.remove());

  async function run(argv: string[], cgroup: string): Promise<void> {
    const pid = await node.addProcess({ argv });
    await node.write(`/proc/${pid}/cgroup`, cgroup);
  }
  const detect = (overrides: DetectOverrides = {}) =>
    detectNode({ layout: node.layout, run: node.run, hostname: 'cp1', overrides }, new AbortController().signal);
  async function problems() {
    const { problems: found } = await detect();
    return found.map(({ component, message }) => `${component}: ${message}`);
  }

  const rows: [what: string, argv: string[], cgroup: string, problem: RegExp][] = [
    [
      'in a unit of another name',
      ['/opt/bin/etcd', '--name=a'],
      '0::/system.slice/etcd-member.service\n',
      /^etcd: runs in etcd-member\.service \(process 101\).*components\.etcd\.unit: etcd-member\.service/,
    ],
    [
      'in a unit, by cgroup v1',
      ['kubelet'],
      '12:pids:/system.slice/rke2-server.service\n1:name=systemd:/system.slice/rke2-server.service\n0::/\n',
      /^kubelet: runs in rke2-server\.service/,
    ],
    [
      'in a part of a unit',
      ['etcd'],
      '0::/system.slice/etcd@a.service/child\n',
      /^etcd: runs in etcd@a\.service .*unit: etcd@a\.service/,
    ],
    [
      'in a unit of a node that is a container',
      ['etcd'],
      `0::/docker/${id}/system.slice/etcd-member.service\n`,
      /^etcd: runs in etcd-member\.service /,
    ],
    [
      'in a container of a pod',
      ['kube-apiserver', '--v=2'],
      `0::/kubepods.slice/kubepods-burstable.slice/kubepods-podx.slice/cri-containerd-${id}.scope\n`,
      /^kube-apiserver: runs in a container \(abababababab, process 101\) that no manifest of \/etc\/kubernetes\/manifests tells of.*components\.kube-apiserver\.manifest/,
    ],
    [
      'in a container that a unit runs',
      ['/usr/local/bin/etcd'],
      `0::/system.slice/docker-${id}.scope\n`,
      /^etcd: runs in a container \(abababababab/,
    ],
    [
      'a kubelet in a container, which has no manifest',
      ['kubelet'],
      `0::/system.slice/docker-${id}.scope\n`,
      /^kubelet: runs in a container \(abababababab, process 101\), which is not understood: run it by a unit of the host/,
    ],
    [
      'by hand',
      ['kube-scheduler'],
      '0::/user.slice/user-0.slice/session-3.scope\n',
      /^kube-scheduler: runs as process 101, which no unit started: run it by a unit/,
    ],
    [
      'k3s, which is all of them at once',
      ['/usr/local/bin/k3s', 'server'],
      '0::/system.slice/k3s.service\n',
      /^kubelet: runs inside of k3s in k3s\.service \(process 101\).*manage: false/,
    ],
    [
      'k3s by the title that it gives itself',
      ['/usr/local/bin/k3s agent'],
      '0::/system.slice/k3s-agent.service\n',
      /^kubelet: runs inside of k3s in k3s-agent\.service/,
    ],
  ];
  for (const [what, argv, cgroup, problem] of rows) {
    it(`are named: ${what}`, async () => {
      await run(argv, cgroup);
      const found = await problems();
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0] ?? '', problem);
      assert.match(found[0] ?? '', /manage: false/);
    });
  }

  it('are left out with manage: false', async () => {
    await run(['etcd'], '0::/system.slice/etcd-member.service\n');
    const nothing = { components: [], problems: [], certificates: [] };
    assert.deepEqual(await detect({ components: { etcd: { manage: false } } }), nothing);
  });

  it('are none where the unit or the manifest of the component is there', async () => {
    await node.addUnit('etcd.service', { text: '[Service]\nExecStart=/usr/bin/etcd\n' });
    await run(['etcd'], '0::/system.slice/etcd-events.service\n');
    const text = 'kind: Pod\nmetadata: {name: s}\nspec:\n  containers:\n  - {name: s, command: [kube-apiserver]}\n';
    await node.addManifest('s.yaml', text, { running: true });
    assert.deepEqual(await problems(), []);
  });

  describe('where the folder of static pods is known', () => {
    beforeEach(async () => {
      await node.write('/k.conf', kubeconfigText('client-certificate: /c.crt'));
      await node.addUnit('kubelet.service', { text: '[Service]\nExecStart=/usr/bin/kubelet --kubeconfig=/k.conf\n' });
    });
    const pods: [program: string, cgroup: string, named: boolean][] = [
      ['etcd', `0::/kubepods/besteffort/podx/${id}\n`, false],
      ['kube-scheduler', `0::/kubepods.slice/kubepods-podx.slice/crio-${id}.scope\n`, false],
      // it may be the API server of this host, which would lose its etcd
      ['kube-apiserver', `0::/kubepods/besteffort/podx/${id}\n`, true],
      ['etcd', `0::/system.slice/docker-${id}.scope\n`, true],
    ];
    for (const [program, cgroup, named] of pods) {
      it(`are ${named ? '' : 'not '}named: ${program} in ${cgroup.trim().replace(id, 'ID')}`, async () => {
        await run([program], cgroup);
        const found = await problems();
        assert.equal(found.length, named ? 1 : 0, found.join('\n'));
        if (named) assert.match(found[0] ?? '', /that no manifest tells of/);
      });
    }
  });

  const others: [what: string, argv: string[]][] = [
    ['the proxy of a DaemonSet', ['/usr/local/bin/kube-proxy', '--config=/c']],
    ['another program', ['etcdctl', 'get', 'etcd']],
    ['a kernel thread', []],
    ['a question for the version', ['kubelet', '--version']],
    ['another command of k3s', ['k3s', 'kubectl']],
  ];
  for (const [what, argv] of others) {
    it(`are none of them: ${what}`, async () => {
      await run(argv, `0::/kubepods/besteffort/podx/${id}\n`);
      assert.deepEqual(await problems(), []);
    });
  }
});
