import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { detectedApiserver, detectedKubelet } from '../verify/detected-for-tests.ts';
import { FakeCluster } from './fake-cluster.ts';
import { on } from './plan-for-tests.ts';
import { apiserverNames, kubeletNames } from './wanted-names.ts';

describe('the names of a serving certificate', () => {
  it('have no dot at the end, whichever way the one that is served writes them', () =>
    on(FakeCluster.worker(), async ({ settings }) => {
      const served = { dnsNames: ['Kubernetes.default.svc.cluster.local.', 'lb.example.com.'], ipAddresses: [] };
      const { dnsNames } = apiserverNames(detectedApiserver({}), settings, served);
      assert.ok(dnsNames.includes('lb.example.com'));
      assert.equal(dnsNames.filter((name) => name.startsWith('kubernetes.default.svc.cluster')).length, 1);
      assert.deepEqual(
        dnsNames.filter((name) => name.endsWith('.')),
        [],
      );
    }));

  it('of a kubelet are those of its node; the others that it has now are told', () =>
    on(FakeCluster.worker(), async (cluster) => {
      const { settings } = await cluster.input();
      const served = { dnsNames: ['W1.', 'K8s foo bar'], ipAddresses: ['127.0.0.1', '203.0.113.7'] };
      assert.deepEqual(kubeletNames(detectedKubelet({}), settings, served), {
        dnsNames: ['w1'],
        ipAddresses: ['10.77.0.11', '127.0.0.1'],
        notHeld: ['203.0.113.7', 'k8s foo bar'],
      });
    }));
});
