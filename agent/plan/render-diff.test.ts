import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
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

  it('says what is left alone, where and why', () => {
    const problems = [{ component: 'etcd' as const, message: 'it is odd: correct it', path: '/etc/x', line: 3 }];
    assert.equal(
      renderPlan({ changes: [], problems }),
      'nothing to change\n\nleft alone\n  etcd (/etc/x:3): it is odd: correct it\n',
    );
  });
});
