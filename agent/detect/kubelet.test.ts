import assert from 'node:assert/strict';
import { symlink } from 'node:fs/promises';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { kubeconfigText } from './certificate-for-tests.ts';
import { FakeNode, type FakeUnit } from './fake-node.ts';
import { detectKubelet, effectiveKubeletSettings, staticPodFolder } from './kubelet.ts';
import { NotUnderstood } from './not-understood.ts';

const CONFIG = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}
rotateCertificates: true
`;
const KUBECONFIG = kubeconfigText('client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem');
const FLAGS = '--kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml';

/** kubelet.service and 10-kubeadm.conf of the packages for kubeadm (kubernetes/release, v0.4.0). */
function kubeadmUnit(environmentFile: string): Partial<FakeUnit> {
  return {
    fragmentPath: '/lib/systemd/system/kubelet.service',
    text: `[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/home/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
`,
    dropIns: {
      '/etc/systemd/system/kubelet.service.d/10-kubeadm.conf': `# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
# This is a file that "kubeadm init" and "kubeadm join" generates at runtime, populating the KUBELET_KUBEADM_ARGS variable dynamically
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
# This is a file that the user can use for overrides of the kubelet args as a last resort. Preferably, the user should use
# the .NodeRegistration.KubeletExtraArgs object in the configuration files instead. KUBELET_EXTRA_ARGS should be sourced from this file.
EnvironmentFile=-${environmentFile}
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`,
    },
  };
}

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
    const found = await detectKubelet(node.processDeps('W1.Example.org'), new AbortController().signal);
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
  for (const [name, path] of [
    ['Debian', '/etc/default/kubelet'],
    ['Red Hat', '/etc/sysconfig/kubelet'],
  ] as const) {
    it(`follows kubeadm's unit, its drop-in and its environment files on ${name}`, async () => {
      await node.write(
        '/var/lib/kubelet/kubeadm-flags.env',
        'KUBELET_KUBEADM_ARGS="--network-plugin=cni --pod-infra-container-image=k8s.gcr.io/pause:3.2"\n',
      );
      await node.write(path, '# ours\nKUBELET_EXTRA_ARGS=--node-ip=10.0.0.1 --hostname-override=N1\n');
      const found = await detect('', kubeadmUnit(path));
      assert.deepEqual(Object.fromEntries(found.flags), {
        'bootstrap-kubeconfig': ['/etc/kubernetes/bootstrap-kubelet.conf'],
        kubeconfig: ['/etc/kubernetes/kubelet.conf'],
        config: ['/var/lib/kubelet/config.yaml'],
        'network-plugin': ['cni'],
        'pod-infra-container-image': ['k8s.gcr.io/pause:3.2'],
        'node-ip': ['10.0.0.1'],
        'hostname-override': ['N1'],
      });
      assert.equal(found.nodeName, 'n1');
      assert.deepEqual(found.kubeconfig.path, node.path('/etc/kubernetes/kubelet.conf'));
      assert.equal(found.config?.text, CONFIG);
      assert.deepEqual(
        found.process.command.map((word) => word.raw),
        [
          '/usr/bin/kubelet',
          '$KUBELET_KUBECONFIG_ARGS',
          '$KUBELET_CONFIG_ARGS',
          '$KUBELET_KUBEADM_ARGS',
          '$KUBELET_EXTRA_ARGS',
        ],
      );
    });
  }
  it("takes --config and --kubeconfig out of kubeadm's environment files, which come last", async () => {
    await node.write('/k.conf', KUBECONFIG);
    await node.write('/k.yaml', CONFIG);
    await node.write('/etc/default/kubelet', 'KUBELET_EXTRA_ARGS="--kubeconfig /k.conf --config=/k.yaml"\n');
    const found = await detect('', kubeadmUnit('/etc/default/kubelet'));
    assert.deepEqual([found.kubeconfig.path, found.config?.path], [node.path('/k.conf'), node.path('/k.yaml')]);
  });

  describe('with --config-dir', () => {
    const FOLDER = '/etc/kubernetes/kubelet.conf.d';
    const dropIn = (rest: string) => `apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n${rest}`;
    const withFolder = (unit: Partial<FakeUnit> = {}) => detect(`${FLAGS} --config-dir=${FOLDER}`, unit);
    const paths = (files: readonly { path: string }[]) => files.map(({ path }) => path.slice(node.path(FOLDER).length));

    it('names our file where the folder is empty or missing', async () => {
      for (const prepare of [async () => {}, () => node.write(`${FOLDER}/README`, '')]) {
        await prepare();
        const found = await withFolder();
        assert.deepEqual(found.configDropIns, []);
        assert.equal(found.configDropInPath, node.path(`${FOLDER}/90-kube-mtls.conf`));
        assert.equal(found.configDropIn, undefined);
      }
    });
    it('is without one when no folder is named', async () => {
      const { configDropIns, configDropInPath } = await detect(FLAGS);
      assert.deepEqual([configDropIns, configDropInPath], [[], undefined]);
    });
    it("reads the files in kubelet's order, and ours apart", async () => {
      await node.write(`${FOLDER}/20-b.conf`, dropIn('maxPods: 5\n'));
      await node.write(`${FOLDER}/20/a.conf`, dropIn('maxPods: 4\n'));
      await node.write(
        `${FOLDER}/10-a.conf`,
        dropIn('tlsCertFile: /a.crt\nstaticPodPath: pods\ntlsCipherSuites: [A, B]\ntlsMinVersion: VersionTLS12\n'),
      );
      await node.write(`${FOLDER}/99-z.conf`, dropIn('maxPods: 6\n'));
      await node.write(`${FOLDER}/05.yaml`, 'a: [');
      await node.write(`${FOLDER}/90-kube-mtls.conf`, dropIn('tlsCertFile: /ours.crt\nrotateCertificates: false\n'));
      const found = await withFolder({
        text: `[Service]\nEnvironment=KUBELET_CONFIG_DROPIN_DIR_ALPHA=on\nExecStart=/usr/bin/kubelet ${FLAGS} --config-dir=${FOLDER}\n`,
      });
      assert.deepEqual(paths(found.configDropIns), ['/10-a.conf', '/20/a.conf', '/20-b.conf', '/99-z.conf']);
      assert.match(found.configDropIn?.text ?? '', /ours/);
      assert.deepEqual(effectiveKubeletSettings(found), {
        tlsCertFile: '/ours.crt',
        clientCaFile: '/etc/kubernetes/pki/ca.crt',
        rotatesClient: false,
        bootstrapsServing: false,
        tlsCipherSuites: ['A', 'B'],
        tlsMinVersion: 'VersionTLS12',
        staticPodPath: node.path(`${FOLDER}/pods`),
      });
    });

    it('follows no link to a folder, as kubelet does not', async () => {
      await node.write(`${FOLDER}/10-a.conf`, dropIn('maxPods: 5\n'));
      await node.write(`${FOLDER}/90-kube-mtls.conf`, dropIn('tlsCertFile: /ours.crt\n'));
      await symlink('.', node.path(`${FOLDER}/again`));
      await symlink('10-a.conf', node.path(`${FOLDER}/20-b.conf`));
      assert.deepEqual(paths((await withFolder()).configDropIns), ['/10-a.conf', '/20-b.conf']);
    });

    const undoing: [string, string, number][] = [
      ['tlsCertFile', 'tlsCertFile: /x.crt\n', 3],
      ['tlsPrivateKeyFile', 'maxPods: 3\ntlsPrivateKeyFile: /x.key\n', 4],
      ['rotateCertificates', 'rotateCertificates: true\n', 3],
      ['serverTLSBootstrap', 'serverTLSBootstrap: null\n', 3],
      ['authentication.anonymous.enabled', 'authentication:\n  anonymous:\n    enabled: true\n', 5],
      ['authentication.x509.clientCAFile', 'authentication:\n  x509:\n    clientCAFile: /x.crt\n', 5],
    ];
    for (const [key, text, line] of undoing) {
      it(`refuses a file that would undo ${key}`, async () => {
        await node.write(`${FOLDER}/91-x.conf`, dropIn(text));
        await assert.rejects(withFolder(), (error) => {
          assert.ok(error instanceof NotUnderstood, String(error));
          assert.match(error.message, new RegExp(`^sets ${key} and is read after 90-kube-mtls\\.conf`));
          assert.deepEqual(error.place, { path: node.path(`${FOLDER}/91-x.conf`), line });
          return true;
        });
      });
    }
    it('refuses files that are no KubeletConfiguration, and a folder that cannot be one', async () => {
      await node.write(`${FOLDER}/10-x.conf`, 'maxPods: 1\n');
      await assert.rejects(withFolder(), /no KubeletConfiguration/);
      await assert.rejects(detect(`${FLAGS} --config-dir=/etc/passwd`), /cannot be read/);
      await assert.rejects(detect(`${FLAGS} --config-dir=conf.d`), /no absolute path/);
    });
  });

  it('knows the folder of static pods', async () => {
    assert.equal(staticPodFolder(await detect(FLAGS)), undefined);
    await node.write('/var/lib/kubelet/config.yaml', `${CONFIG}staticPodPath: /srv/pods\n`);
    assert.equal(staticPodFolder(await detect(FLAGS)), '/srv/pods');
    assert.equal(staticPodFolder(await detect(`${FLAGS} --pod-manifest-path=/flag`)), '/flag');
  });

  it('refuses to run without a kubeconfig', async () => {
    await assert.rejects(detect('--config=/var/lib/kubelet/config.yaml'), /without --kubeconfig/);
    await assert.rejects(detect('--kubeconfig='), /without --kubeconfig/);
  });
  it('refuses relative paths', async () => {
    await assert.rejects(detect('--kubeconfig=kubelet.conf'), /no absolute path/);
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
