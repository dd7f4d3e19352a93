import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { FakeCluster } from '../plan/fake-cluster.ts';
import { apiserverCommand, pki } from '../plan/fake-parts.ts';
import { on } from '../plan/plan-for-tests.ts';
import { inventoryMessage } from './inventory-message.ts';

describe('inventoryMessage', () => {
  it("tells which of the cluster's roots signed what a webhook's kubeconfig holds", () => {
    const apiserver = `${apiserverCommand} --audit-webhook-config-file=/w/hook.conf`;
    return on(FakeCluster.controlPlane({ apiserver }), async (cluster) => {
      const client = await cluster.issue('front-proxy', [], []);
      await cluster.node.write('/w/hook.conf', cluster.kubeconfig('hook', client));
      await cluster.node.write(`${pki}/front-proxy-client.crt`, 'garbage');
      const { certificates } = inventoryMessage(await cluster.input());
      const pinOf = (consumer: string) => certificates.find((each) => each.consumer === consumer)?.issuerPin;
      const hook = 'kube-apiserver --audit-webhook-config-file';
      assert.equal(pinOf(`${hook} client-certificate-data`), pin(cluster, 'front-proxy'));
      assert.equal(pinOf(`${hook} certificate-authority-data`), pin(cluster, 'kubernetes'));
      assert.equal(pinOf('kube-apiserver --proxy-client-cert-file'), '');
    });
  });
});

function pin(cluster: FakeCluster, authority: 'front-proxy' | 'kubernetes'): string {
  return parseCertificate(cluster.rootPem(authority)).publicKeyPin;
}
