import assert from 'node:assert/strict';
import { mkdir, rename, symlink } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { kubeconfigText } from './certificate-for-tests.ts';
import { detectNode } from './detect-node.ts';
import { FakeNode } from './fake-node.ts';

const kubeletConfig = 'kind: KubeletConfiguration\nstaticPodPath: /etc/kubernetes/manifests\n';

describe('files that would be changed and are symbolic links', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await FakeNode.create();
    const kubeconfig = kubeconfigText('client-certificate: /c.crt');
    for (const path of ['/k/kubelet.conf', '/k/s.conf', '/k/p.conf', '/etc/kubernetes/admin.conf']) {
      await node.write(path, kubeconfig);
    }
    await node.write('/k/kubelet.yaml', kubeletConfig);
    await node.write('/k/s.yaml', 'kind: KubeSchedulerConfiguration\nclientConnection: {kubeconfig: /k/s.conf}\n');
    await node.write('/k/etcd.yaml', 'name: a\n');
    await node.write('/k/conf.d/90-kube-mtls.conf', kubeletConfig);
    const units = {
      kubelet: '--kubeconfig=/k/kubelet.conf --config=/k/kubelet.yaml --config-dir=/k/conf.d',
      'kube-scheduler': '--config=/k/s.yaml',
      'kube-proxy': '--kubeconfig=/k/p.conf',
      etcd: '--config-file=/k/etcd.yaml',
    };
    for (const [name, flags] of Object.entries(units)) {
      await node.addUnit(`${name}.service`, { text: `[Service]\nExecStart=/usr/bin/${name} ${flags}\n` });
    }
    await node.addManifest(
      'api.yaml',
      'kind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - {name: a, command: [kube-apiserver]}\n',
    );
  });
  afterEach(() => node.remove());

  const detect = () =>
    detectNode({ layout: node.layout, run: node.run, hostname: 'cp1' }, new AbortController().signal);
  const problems = async () => (await detect()).problems;
  /** Moves the file away and leaves a link to it. */
  async function link(path: string): Promise<void> {
    const target = `/srv/config/${basename(path)}`;
    await mkdir(dirname(node.path(target)), { recursive: true });
    await rename(node.path(path), node.path(target));
    await symlink(node.path(target), node.path(path));
  }

  it('are none at first', async () => {
    const { components, problems: found } = await detect();
    assert.deepEqual([components.length, found], [6, []]);
  });

  const rows: [component: string, path: string, advice: RegExp][] = [
    ['kubelet', '/k/kubelet.conf', /name that in --kubeconfig/],
    ['kubelet', '/k/conf.d/90-kube-mtls.conf', /remove the link/],
    ['kube-scheduler', '/k/s.conf', /name that in clientConnection\.kubeconfig/],
    ['kube-proxy', '/k/p.conf', /name that in --kubeconfig/],
    ['etcd', '/k/etcd.yaml', /name that in --config-file/],
    ['kube-apiserver', '/etc/kubernetes/manifests/api.yaml', /components\.kube-apiserver\.manifest.*agent\.yaml/],
    ['admin', '/etc/kubernetes/admin.conf', /adminKubeconfigs.*agent\.yaml/],
  ];
  for (const [component, path, advice] of rows) {
    it(`are named: ${path}`, async () => {
      await link(path);
      const found = await problems();
      assert.deepEqual(
        found.map((problem) => [problem.component, problem.path]),
        [[component, node.path(path)]],
      );
      const { message = '' } = found[0] ?? {};
      assert.ok(message.includes(`is a symbolic link to ${node.path(`/srv/config/${basename(path)}`)}`), message);
      assert.match(message, advice);
    });
  }

  for (const path of ['/etc/systemd/system/etcd.service.d/50-kube-mtls.conf', '/etc/kube-mtls/etcd.env']) {
    it(`are named where they would be ours, even where they lead nowhere: ${path}`, async () => {
      await mkdir(dirname(node.path(path)), { recursive: true });
      await symlink('/nowhere', node.path(path));
      const found = await problems();
      assert.deepEqual(
        found.map((problem) => [problem.component, problem.path]),
        [['etcd', node.path(path)]],
      );
      assert.match(found[0]?.message ?? '', /remove the link/);
    });
  }

  it("are named: kubelet's only configuration", async () => {
    await node.addUnit('kubelet.service', {
      text: '[Service]\nExecStart=/usr/bin/kubelet --kubeconfig=/k/kubelet.conf --config=/k/kubelet.yaml\n',
    });
    await link('/k/kubelet.yaml');
    assert.match((await problems())[0]?.message ?? '', /is a symbolic link .*name that in --config$/);
  });

  it('count no more in files that are only read, in folders, and in units', async () => {
    for (const path of ['/k/kubelet.yaml', '/k/s.yaml', '/etc/systemd/system/kubelet.service', '/k']) await link(path);
    assert.deepEqual(await problems(), []);
  });
});
