import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { kubeconfigText } from './certificate-for-tests.ts';
import { FakeNode, type FakeUnit } from './fake-node.ts';
import { detectKubelet } from './kubelet.ts';
import { NotUnderstood } from './not-understood.ts';

const CONFIG = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}
rotateCertificates: true
`;
const KUBECONFIG = kubeconfigText('client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem');
const FLAGS = '--kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml';

describe('detectKubelet', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await FakeNode.create();
    await node.write('/etc/kubernetes/kubelet.conf', KUBECONFIG);
    await node.write('/var/lib/kubelet/config.yaml', CONFIG);
  });
  afterEach(() => node.remove());

  async function detect(flags: string, unit: Partial<FakeUnit> = {}) {
    await node.addUnit('kubelet.service', { text: `[Service]\nExecStart=/usr/bin/kubelet ${flags}\n`, ...unit });
    const deps = { layout: node.layout, run: node.run, hostname: 'W1.Example.org' };
    const found = await detectKubelet(deps, 'kubelet.service', new AbortController().signal);
    assert.ok(found);
    return found;
  }

  it('finds its configuration, its kubeconfig and its name', async () => {
    const found = await detect(`${FLAGS} --hostname-override=W1 --enforce-node-allocatable=`);
    assert.equal(found.config?.text, CONFIG);
    assert.equal(found.kubeconfig.path, node.path('/etc/kubernetes/kubelet.conf'));
    assert.equal(found.nodeName, 'w1');
    assert.deepEqual(found.flags.get('enforce-node-allocatable'), ['']);
  });
  it("takes the host's name in lower case where none is given", async () => {
    assert.equal((await detect(FLAGS)).nodeName, 'w1.example.org');
  });
  it('does without a configuration', async () => {
    assert.equal((await detect('--kubeconfig /etc/kubernetes/kubelet.conf --v 2')).config, undefined);
  });
  it("follows kubeadm's drop-in and its environment files", async () => {
    await node.write('/var/lib/kubelet/kubeadm-flags.env', 'KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.1 --pod-infra=x"\n');
    const found = await detect('', {
      dropIns: {
        '/etc/systemd/system/kubelet.service.d/10-kubeadm.conf': `# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`,
      },
    });
    assert.deepEqual([...found.flags.keys()], ['bootstrap-kubeconfig', 'kubeconfig', 'config', 'node-ip', 'pod-infra']);
    assert.deepEqual(
      found.unit.command.map((word) => word.raw),
      [
        '/usr/bin/kubelet',
        '$KUBELET_KUBECONFIG_ARGS',
        '$KUBELET_CONFIG_ARGS',
        '$KUBELET_KUBEADM_ARGS',
        '$KUBELET_EXTRA_ARGS',
      ],
    );
  });
  it('passes over an empty or missing --config-dir', async () => {
    await node.write('/etc/kubernetes/kubelet.conf.d/README', '');
    assert.ok(await detect(`${FLAGS} --config-dir=/etc/kubernetes/kubelet.conf.d`));
    assert.ok(await detect(`${FLAGS} --config-dir=/etc/nothing`));
  });

  it('refuses to run without a kubeconfig', async () => {
    await assert.rejects(detect('--config=/var/lib/kubelet/config.yaml'), /without --kubeconfig/);
    await assert.rejects(detect('--kubeconfig='), /without --kubeconfig/);
  });
  it('refuses relative paths', async () => {
    await assert.rejects(detect('--kubeconfig=kubelet.conf'), /no absolute path/);
  });
  it('refuses a configuration in pieces', async () => {
    await node.write('/etc/kubernetes/kubelet.conf.d/10-x.conf', '');
    await assert.rejects(detect(`${FLAGS} --config-dir=/etc/kubernetes/kubelet.conf.d`), /--config-dir/);
  });

  const CONFIG_PATH = '/var/lib/kubelet/config.yaml';
  const KUBECONFIG_PATH = '/etc/kubernetes/kubelet.conf';
  const refusals: [string, string, string | Uint8Array, number | undefined][] = [
    ['a configuration that is no YAML', CONFIG_PATH, `${CONFIG}a: [1\nb: 2\n`, 6],
    ['a key twice', CONFIG_PATH, `${CONFIG}rotateCertificates: false\n`, 5],
    ['tabs for indentation', CONFIG_PATH, 'kind: KubeletConfiguration\nauthentication:\n\tx509: {}\n', 3],
    ['several documents', CONFIG_PATH, `${CONFIG}---\nkind: KubeletConfiguration\n`, 5],
    ['a list', CONFIG_PATH, '- kind: KubeletConfiguration\n', 1],
    ['an empty configuration', CONFIG_PATH, '', 1],
    ['another kind', CONFIG_PATH, 'apiVersion: v1\nkind: Config\n', 2],
    ['a certificate that is no text', CONFIG_PATH, `${CONFIG}tlsCertFile: [a]\n`, 5],
    ['an x509 that is no mapping', CONFIG_PATH, 'kind: KubeletConfiguration\nauthentication:\n  x509: yes\n', 3],
    ['bytes that are no text', CONFIG_PATH, new Uint8Array([0x6b, 0xff, 0xfe]), undefined],
    ['a NUL byte', CONFIG_PATH, 'kind: KubeletConfiguration\na: \0\n', 2],
    ['a kubeconfig that is no YAML', KUBECONFIG_PATH, 'apiVersion: v1\nclusters: {\n', 3],
    ['a kubeconfig without a context', KUBECONFIG_PATH, KUBECONFIG.replace('current-context: me@kubernetes\n', ''), 1],
    ['a context that is not there', KUBECONFIG_PATH, KUBECONFIG.replace('name: me@', 'name: other@'), 8],
    ['a user that is not there', KUBECONFIG_PATH, KUBECONFIG.replace('- name: me\n', '- name: you\n'), 16],
    [
      'a cluster that is not there',
      KUBECONFIG_PATH,
      KUBECONFIG.replace('name: kubernetes\ncontexts', 'name: k\ncontexts'),
      3,
    ],
    ['a certificate path that is no text', KUBECONFIG_PATH, kubeconfigText('client-certificate: 5'), 18],
  ];
  for (const [name, path, text, line] of refusals) {
    it(`refuses ${name} and names the line`, async () => {
      await node.write(path, text);
      await assert.rejects(detect(FLAGS), (error) => {
        assert.ok(error instanceof NotUnderstood, String(error));
        assert.deepEqual([error.place.path, error.place.line], [node.path(path), line], error.message);
        return true;
      });
    });
  }
  it('refuses a missing configuration or kubeconfig that a flag names', async () => {
    await assert.rejects(detect(`${FLAGS} --config=/nothing`), /no such file/);
    await assert.rejects(detect('--kubeconfig=/nothing'), /no such file/);
  });
});
