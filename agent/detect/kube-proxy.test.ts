import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { kubeconfigText } from './certificate-for-tests.ts';
import { FakeNode } from './fake-node.ts';
import { detectProxy } from './kube-proxy.ts';
import { NotUnderstood } from './not-understood.ts';

describe('detectProxy', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await FakeNode.create();
    await node.write('/var/lib/kube-proxy/kubeconfig', kubeconfigText('client-certificate: /c.crt'));
    await node.write(
      '/var/lib/kube-proxy/config.yaml',
      'kind: KubeProxyConfiguration\nclientConnection: {kubeconfig: /var/lib/kube-proxy/kubeconfig}\n',
    );
    await node.write('/in-cluster.yaml', 'kind: KubeProxyConfiguration\nclientConnection: {kubeconfig: ""}\n');
  });
  afterEach(() => node.remove());

  async function detect(flags: string) {
    await node.addUnit('kube-proxy.service', { text: `[Service]\nExecStart=/usr/local/bin/kube-proxy ${flags}\n` });
    return detectProxy(node.processDeps('w1'), new AbortController().signal);
  }

  it('is undefined where there is none', async () => {
    assert.equal(await detectProxy(node.processDeps('w1'), new AbortController().signal), undefined);
  });
  for (const flags of [
    '--config=/var/lib/kube-proxy/config.yaml',
    '--masquerade-all --kubeconfig /var/lib/kube-proxy/kubeconfig',
    // with a configuration the flag does not count
    '--config=/var/lib/kube-proxy/config.yaml --kubeconfig=/none',
  ]) {
    it(`finds its kubeconfig with ${flags}`, async () => {
      const found = await detect(flags);
      assert.equal(found?.kubeconfig.path, node.path('/var/lib/kube-proxy/kubeconfig'));
      assert.equal(found.process.kind, 'unit');
    });
  }
  const refusals: [string, string, RegExp][] = [
    ['no kubeconfig', '--master=http://127.0.0.1:8080', /without a kubeconfig.*manage: false/],
    ['the configuration of a pod', '--config=/in-cluster.yaml --kubeconfig=/none', /without a kubeconfig/],
    ['a missing configuration', '--config=/none', /no such file/],
    ['a configuration of another kind', '--config=/var/lib/kube-proxy/kubeconfig', /no KubeProxyConfiguration/],
  ];
  for (const [name, flags, message] of refusals) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(detect(flags), (error) => error instanceof NotUnderstood && message.test(error.message));
    });
  }
});
