import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import { lifetimeMs } from './fake-authorities.ts';
import { FakeCluster } from './fake-cluster.ts';
import { CHANGE_ID } from './placeholders.ts';
import { applyAll, changeOf, on } from './plan-for-tests.ts';
import { reloadsOf } from './take-up.ts';

describe('reloadsOf', () => {
  const rows: [Exclude<Component, 'etcd'>, string, string[]][] = [
    ['kube-apiserver', '', ['probe-client']],
    ['kube-apiserver', 'unreadable', ['probe-client']],
    ['kube-apiserver', '2.40.0', ['probe-client']],
    ['kube-apiserver', '1.16.15', ['probe-client']],
    ['kube-apiserver', '1.17.0', ['probe-client', 'serving', 'client-ca.crt', 'front-proxy-ca.crt', 'etcd-client']],
    [
      'kube-apiserver',
      '1.19.16',
      ['probe-client', 'serving', 'client-ca.crt', 'front-proxy-ca.crt', 'etcd-client', 'kubelet-client'],
    ],
    [
      'kube-apiserver',
      'v1.36.2',
      [
        ...['probe-client', 'serving', 'client-ca.crt', 'front-proxy-ca.crt', 'etcd-client', 'kubelet-client'],
        'front-proxy-client',
      ],
    ],
    ['kube-controller-manager', '1.18.20', ['probe-client']],
    ['kube-controller-manager', '1.36.2', ['probe-client', 'serving', 'client', 'client-ca.crt', 'front-proxy-ca.crt']],
    ['kube-scheduler', '1.19.0', ['probe-client', 'serving', 'client', 'client-ca.crt', 'front-proxy-ca.crt']],
    ['kubelet', '1.17.0', ['probe-client', 'client-ca.crt']],
    ['kubelet', '1.30.14', ['probe-client', 'client-ca.crt', 'client']],
    ['kubelet', '1.31.0-rc.1', ['probe-client', 'client-ca.crt', 'client', 'serving']],
    ['kube-proxy', '1.18.0', []],
    ['kube-proxy', '1.19.0', ['client']],
    ['admin', '', ['admin', 'super-admin', 'apiserver-ca.crt']],
  ];
  for (const [component, version, files] of rows) {
    it(`of ${component} ${version || 'of an unknown version'}`, () => {
      assert.deepEqual([...reloadsOf(component, version)], files);
    });
  }

  it('takes what nobody reads for taken up', () => {
    assert.ok(reloadsOf('kube-apiserver', '', ['kubelet-ca.crt']).has('kubelet-ca.crt'));
  });
});

/** How each component of cp1 takes up a renewal. */
async function renewalOn(version: string): Promise<Record<string, string>> {
  const cluster = await FakeCluster.bareControlPlane();
  try {
    cluster.setVersion(version);
    await cluster.addApiserver('/opt/bin/kube-apiserver --etcd-servers=http://192.0.2.1:2379');
    await cluster.addManager('kube-controller-manager');
    await cluster.addKubelet({ command: '/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf' });
    await cluster.addProxy();
    await cluster.addAdmin();
    await applyAll(cluster);
    cluster.nowMs += lifetimeMs * 0.67;
    const { changes } = await applyAll(cluster);
    return Object.fromEntries(
      changes.flatMap(({ components }) => components.map(({ component, takeUp }) => [component, takeUp])),
    );
  } finally {
    await cluster.remove();
  }
}

describe('a renewal', () => {
  it('is live where the version takes everything up', async () => {
    assert.deepEqual(await renewalOn('1.20.2'), {
      'kube-apiserver': 'live',
      'kube-controller-manager': 'live',
      kubelet: 'restart',
      'kube-proxy': 'live',
      admin: 'live',
    });
    assert.equal((await renewalOn('1.36.2')).kubelet, 'live');
  });

  it('restarts what does not', async () => {
    assert.deepEqual(await renewalOn('1.16.0'), {
      'kube-apiserver': 'restart',
      'kube-controller-manager': 'restart',
      kubelet: 'restart',
      'kube-proxy': 'restart',
      admin: 'live',
    });
  });
});

describe('a change of roots', () => {
  it('is live for callers alone, and restarts what reads its roots once', () =>
    on(FakeCluster.bareControlPlane(), async (cluster) => {
      cluster.setVersion('1.36.2');
      await cluster.addApiserver('/opt/bin/kube-apiserver --etcd-servers=http://192.0.2.1:2379');
      await cluster.addManager('kube-scheduler');
      await applyAll(cluster);
      await cluster.beginRotation('kubernetes', false);
      const plan = await applyAll(cluster);
      assert.equal(changeOf(plan, 'kube-apiserver').takeUp, 'live', 'kubelet-ca.crt is named by no flag');
      assert.equal(changeOf(plan, 'kube-scheduler').takeUp, 'restart', 'apiserver-ca.crt');
      cluster.settings = { ...cluster.settings, kubeletVerification: 'at-once' };
      await applyAll(cluster);
      cluster.setPhase('kubernetes', 'reissue');
      assert.equal(changeOf(await applyAll(cluster), 'kube-apiserver').takeUp, 'live');
      cluster.setPhase('kubernetes', 'drop');
      assert.equal(changeOf(await applyAll(cluster), 'kube-apiserver').takeUp, 'restart', 'kubelet-ca.crt');
    }));
});

describe('the mark of a restart', () => {
  it('is put in a manifest when certificates alone need a restart, and only then', () =>
    on(FakeCluster.bareControlPlane(), async (cluster) => {
      await cluster.addPod('kube-scheduler');
      const first = changeOf(await applyAll(cluster), 'kube-scheduler');
      assert.equal(first.files.filter(({ restarts }) => restarts).length, 1);
      assert.ok(first.files.every(({ after }) => !after.text.includes(CHANGE_ID)));
      cluster.nowMs += lifetimeMs * 0.67;
      assert.deepEqual(changeOf(await applyAll(cluster), 'kube-scheduler').files, [], 'v1.20.2 takes them up');
      await cluster.beginRotation('kubernetes', false);
      for (const phase of ['trust', 'drop']) {
        if (phase === 'drop') cluster.setPhase('kubernetes', 'drop');
        const { takeUp, files } = changeOf(await applyAll(cluster), 'kube-scheduler');
        assert.equal(takeUp, 'restart');
        assert.equal(files.length, 1);
        assert.match(files[0]?.after.text ?? '', /kube-mtls\.io\/restarted-by: "?@kube-mtls:change-id@/);
        assert.equal(files[0]?.restarts, true);
      }
    }));
});
