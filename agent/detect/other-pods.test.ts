import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CERTIFICATE_PEM, kubeconfigText } from './certificate-for-tests.ts';
import { detectNode } from './detect-node.ts';
import { FakeNode } from './fake-node.ts';

/** kube-vip's pod with another container's parts. */
function pod(container: string, volumes: string): string {
  return `kind: Pod
metadata: {name: kube-vip, namespace: kube-system}
spec:
  containers:
  - {name: kube-vip, image: vip, ${container}}
  volumes: [${volumes}]
`;
}

describe('otherPodReferences', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await FakeNode.create();
    await node.write('/srv/vip.conf', kubeconfigText(`client-certificate-data: ${btoa(CERTIFICATE_PEM)}`));
    await node.write('/srv/other.yaml', 'a: b\n');
  });
  afterEach(() => node.remove());

  async function certificates(manifest: string): Promise<string[]> {
    await node.addManifest('vip.yaml', manifest);
    const { problems, certificates } = await detectNode(
      { layout: node.layout, run: node.run, hostname: 'cp1' },
      new AbortController().signal,
    );
    assert.deepEqual(problems, []);
    return certificates.map(({ path, consumer }) => `${path.replace(node.layout.root, '')} | ${consumer}`);
  }

  const both = [
    '/srv/vip.conf | static pod kube-vip certificate-authority-data',
    '/srv/vip.conf | static pod kube-vip client-certificate-data',
  ];
  const found: [what: string, container: string, volumes: string, certificates: string[]][] = [
    [
      'mounts as a file under the path where the program looks',
      'args: [manager], volumeMounts: [{name: k, mountPath: /etc/kubernetes/admin.conf}, {name: o, mountPath: /o}]',
      '{name: k, hostPath: {path: /srv/vip.conf}}, {name: o, hostPath: {path: /srv/other.yaml}}',
      both,
    ],
    [
      'names by a flag in a folder that is mounted elsewhere',
      'args: [--kubeconfig=/k/vip.conf], volumeMounts: [{name: k, mountPath: /k}]',
      '{name: k, hostPath: {path: /srv, type: Directory}}',
      both,
    ],
    [
      'names by a variable',
      'env: [{name: k8s_config_file, value: /k/vip.conf}], volumeMounts: [{name: k, mountPath: /k/}]',
      '{name: k, hostPath: {path: /srv/}}',
      both,
    ],
    [
      'names where it has another file',
      'args: [/srv/vip.conf], volumeMounts: [{name: k, mountPath: /srv}]',
      '{name: k, emptyDir: {}}',
      [],
    ],
    ['names outside of its mounts', 'args: [/srv/vip.conf]', '', []],
    [
      'mounts and that is no kubeconfig',
      'volumeMounts: [{name: k, mountPath: /o}]',
      '{name: k, hostPath: {path: /srv/other.yaml}}',
      [],
    ],
    [
      'mounts and that is missing',
      'volumeMounts: [{name: k, mountPath: /o}]',
      '{name: k, hostPath: {path: /none}}',
      [],
    ],
  ];
  for (const [what, container, volumes, wanted] of found) {
    it(`lists ${wanted.length === 0 ? 'nothing of ' : ''}a file that the pod ${what}`, async () =>
      assert.deepEqual(await certificates(pod(container, volumes)), wanted));
  }

  it('passes over a manifest that is not understood', async () => {
    assert.deepEqual(await certificates('kind: Pod\nspec: {containers: 3}\n'), []);
    assert.deepEqual(await certificates(': : :\n'), []);
  });
});
