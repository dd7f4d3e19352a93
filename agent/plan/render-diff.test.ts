import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lifetimeMs } from './fake-authorities.ts';
import { FakeCluster } from './fake-cluster.ts';
import { renderPlan } from './render-diff.ts';

describe('renderPlan', () => {
  it('shows certificates, units and files, and no secret', async () => {
    const cluster = await FakeCluster.worker();
    try {
      const text = renderPlan(await cluster.plan());
      assert.match(text, /^change 1 of 1: kubelet \(20260101T000000Z-1\)$/m);
      assert.match(text, /^ {2}issue .*\/serving\.crt: kubelet-serving for w1, 10\.77\.0\.11; missing$/m);
      assert.match(text, /^ {2}restart: kubelet\.service$/m);
      assert.match(text, /^-rotateCertificates: true\n\+rotateCertificates: false$/m);
      assert.match(text, /^- {4}client-key-data: \[redacted\]$/m);
      assert.doesNotMatch(text, /c2VjcmV0/);
    } finally {
      await cluster.remove();
    }
  });

  it('names a pod, and shows the mark that makes kubelet restart it', async () => {
    const cluster = await FakeCluster.bareControlPlane();
    try {
      await cluster.addPod('kube-scheduler');
      const first = await cluster.plan();
      assert.match(renderPlan(first), /^ {2}restart: pod kube-scheduler-cp1$/m);
      await cluster.apply(first);
      await cluster.beginRotation('kubernetes', false);
      assert.match(renderPlan(await cluster.plan()), /^\+ {4}kube-mtls\.io\/restarted-by: "20260101T000000Z-2"$/m);
    } finally {
      await cluster.remove();
    }
  });

  it('names the API server that is ended when kubelet waits for it instead of starting etcd', async () => {
    const cluster = await FakeCluster.bareControlPlane();
    try {
      await cluster.addPod('etcd');
      await cluster.addPod('kube-apiserver');
      const text = renderPlan(await cluster.plan());
      assert.match(
        text,
        /^ {2}restart: pod etcd-cp1\n {2}restart, should kubelet wait for it: pod kube-apiserver-cp1$/m,
      );
    } finally {
      await cluster.remove();
    }
  });

  it('says that watches are cut where an API server restarts, and of nothing else', async () => {
    const cluster = await FakeCluster.bareControlPlane();
    try {
      await cluster.addPod('etcd');
      await cluster.addPod('kube-apiserver');
      const lines = renderPlan(await cluster.plan())
        .split('\n')
        .filter((line) => /^ {2}restart: /.test(line));
      assert.deepEqual(lines, [
        '  restart: pod etcd-cp1',
        '  restart: pod kube-apiserver-cp1; its watches are cut once its port is closed and no other call is under way',
      ]);
    } finally {
      await cluster.remove();
    }
  });

  it('says what a running process takes up', async () => {
    const cluster = await FakeCluster.worker();
    try {
      cluster.setVersion('1.36.2');
      await cluster.apply(await cluster.plan());
      cluster.nowMs += lifetimeMs;
      assert.match(renderPlan(await cluster.plan()), /^ {2}taken up while it runs: kubelet\.service$/m);
    } finally {
      await cluster.remove();
    }
  });

  it('shows that data in a kubeconfig becomes new, and none of it', async () => {
    const cluster = await FakeCluster.bareControlPlane();
    try {
      await cluster.addAdmin();
      await cluster.apply(await cluster.plan());
      cluster.nowMs += lifetimeMs;
      const text = renderPlan(await cluster.plan());
      assert.match(text, /^ {2}files: nothing to restart$/m);
      assert.match(text, /^- +client-key-data: \[redacted\]$/m);
      assert.match(text, /^\+ +client-key-data: <new key, embedded>$/m);
      assert.match(text, /^\+ +client-certificate-data: <new certificate, embedded>$/m);
      assert.match(text, /^\+ +certificate-authority-data: <new roots, embedded>$/m);
    } finally {
      await cluster.remove();
    }
  });

  it('says what is left alone, where and why', () => {
    const problems = [{ component: 'etcd' as const, message: 'it is odd: correct it', path: '/etc/x', line: 3 }];
    assert.equal(
      renderPlan({ changes: [], problems }),
      'nothing to change\n\nleft alone\n  etcd (/etc/x:3): it is odd: correct it\n',
    );
  });
});
