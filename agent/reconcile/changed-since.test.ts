import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeCluster } from '../plan/fake-cluster.ts';
import { apiserverCommand } from '../plan/fake-parts.ts';
import { changedSince } from './changed-since.ts';

const planned = async (cluster: FakeCluster, component: string) => {
  const { changes } = await cluster.plan();
  const change = changes.find(({ components }) => components.some((each) => each.component === component));
  return change ?? assert.fail(`no change of ${component}`);
};
const now = async (cluster: FakeCluster) => (await cluster.input()).detected;

describe('changedSince', () => {
  it('is content while nothing changed, whatever the process does', async (test) => {
    const cluster = await FakeCluster.controlPlane();
    test.after(() => cluster.remove());
    const change = await planned(cluster, 'kube-apiserver');
    assert.equal(changedSince(change, await now(cluster)), undefined);
  });

  it('tells of a unit that somebody edited, or took away', async (test) => {
    const cluster = await FakeCluster.controlPlane();
    test.after(() => cluster.remove());
    const change = await planned(cluster, 'kube-apiserver');
    await cluster.addApiserver(`${apiserverCommand} --audit-log-path=/var/log/audit.log`);
    assert.match(changedSince(change, await now(cluster)) ?? '', /^kube-apiserver was set up otherwise/);
    assert.match(changedSince(change, { components: [], problems: [], certificates: [] }) ?? '', /plan again$/);
  });

  it('tells of a variable that a flag is made from', async (test) => {
    const cluster = await FakeCluster.controlPlane();
    test.after(() => cluster.remove());
    const change = await planned(cluster, 'etcd');
    await cluster.node.write('/etc/default/etcd', 'ETCD_NAME=other\n');
    assert.match(changedSince(change, await now(cluster)) ?? '', /^etcd was set up otherwise/);
  });

  it('tells of a manifest', async (test) => {
    const cluster = await FakeCluster.bareControlPlane();
    test.after(() => cluster.remove());
    await cluster.addPod('kube-scheduler');
    const change = await planned(cluster, 'kube-scheduler');
    assert.equal(changedSince(change, await now(cluster)), undefined);
    const path = '/etc/kubernetes/manifests/kube-scheduler.yaml';
    await cluster.node.write(path, `${await cluster.read(path)}# by somebody\n`);
    assert.match(changedSince(change, await now(cluster)) ?? '', /^kube-scheduler was set up otherwise/);
  });
});
