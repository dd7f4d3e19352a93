import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { FakeCluster } from './fake-cluster.ts';
import { applyAll, changeOf, groupsOf, on, slotsOf, textsOf } from './plan-for-tests.ts';

const kubeconfigPath = '/var/lib/kube-proxy/kubeconfig';

describe('planProxy', () => {
  it('gives the kubeconfig files and changes nothing else, once', () =>
    on(FakeCluster.worker(), async (cluster) => {
      await cluster.addProxy();
      const plan = await applyAll(cluster);
      assert.deepEqual(groupsOf(plan), [['kubelet'], ['kube-proxy']]);
      const change = changeOf(plan, 'kube-proxy');
      assert.deepEqual(slotsOf(change), ['client']);
      assert.deepEqual(Object.keys(textsOf(change)), ['kubeconfig']);
      const { users, clusters } = parse(textsOf(change).kubeconfig ?? '');
      assert.deepEqual(users[0].user, { 'client-certificate': 'client.crt', 'client-key': 'client.key' });
      assert.equal(clusters[0].cluster['certificate-authority'], 'apiserver-ca.crt');
      assert.equal(change.takeUp, 'restart');
    }));

  it('refuses a kubeconfig with a token, and goes on with the kubelet', () =>
    on(FakeCluster.worker(), async (cluster) => {
      await cluster.addProxy();
      const text = cluster.kubeconfig('p').replace(/ {4}client-certificate-data.*\n.*\n/, '    token: x\n');
      await cluster.node.write(kubeconfigPath, text);
      const plan = await cluster.plan();
      assert.deepEqual(groupsOf(plan), [['kubelet']]);
      assert.match(plan.problems[0]?.message ?? '', /authenticates by token/);
    }));

  it('refuses roots of somebody else', () =>
    on(FakeCluster.worker(), async (cluster) => {
      await cluster.addProxy();
      const roots = Buffer.from(cluster.rootPem('etcd')).toString('base64');
      await cluster.node.write(kubeconfigPath, cluster.kubeconfig('p').replace(/(authority-data: ).*/, `$1${roots}`));
      assert.match((await cluster.plan()).problems[0]?.message ?? '', /trust would change: certificate-authority/);
    }));
});
