import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { detectedApiserver, detectedKubelet } from '../verify/detected-for-tests.ts';
import { FakeCluster } from './fake-cluster.ts';
import { issuable } from './issuable.ts';
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

  it('hold the component up, with the name, where no certificate of ours can hold one', () =>
    on(FakeCluster.worker(), async (cluster) => {
      const input = await cluster.input();
      const problemsWith = (name: string) => {
        const names = kubeletNames(detectedKubelet({}), input.settings, { dnsNames: [name], ipAddresses: [] });
        const slot = { profile: 'kubelet-serving', file: 'serving', ...names } as const;
        return issuable(detectedKubelet({}), [slot], input).problems.map(({ message }) => message);
      };
      assert.deepEqual(problemsWith('lb.example.com.'), []);
      const [message, ...more] = problemsWith('K8s foo bar');
      assert.match(message ?? '', /^serving\.crt cannot be issued: the DNS name "k8s foo bar" is malformed; replace/);
      assert.deepEqual(more, []);
    }));
});
