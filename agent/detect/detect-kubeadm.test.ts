import assert from 'node:assert/strict';
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CERTIFICATE_PEM, kubeconfigText } from './certificate-for-tests.ts';
import { detectNode } from './detect-node.ts';
import { FakeNode } from './fake-node.ts';
import type { DetectOverrides } from './overrides.ts';

const PODS = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;
const PKI = '/etc/kubernetes/pki';
/** As kubeadm 1.20 makes them (kubeadm init phase certs all). */
const CERTIFICATES = [
  ...['apiserver-etcd-client', 'apiserver-kubelet-client', 'apiserver', 'ca', 'front-proxy-ca', 'front-proxy-client'],
  ...['etcd/ca', 'etcd/healthcheck-client', 'etcd/peer', 'etcd/server'],
];
const EMBEDDED = kubeconfigText(`client-certificate-data: ${btoa(CERTIFICATE_PEM)}`);

describe('detectNode on a control plane of kubeadm', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await FakeNode.create();
    for (const name of PODS) await node.addManifest(`${name}.yaml`, await manifest(name), { running: true });
    for (const name of CERTIFICATES) await node.write(`${PKI}/${name}.crt`, CERTIFICATE_PEM);
    await node.write(`${PKI}/sa.pub`, 'key');
    await node.write(`${PKI}/sa.key`, 'key');
    for (const name of ['admin', 'super-admin', 'controller-manager', 'scheduler', 'kubelet']) {
      await node.write(`/etc/kubernetes/${name}.conf`, EMBEDDED);
    }
    await node.write(
      '/var/lib/kubelet/config.yaml',
      `kind: KubeletConfiguration\nauthentication: {x509: {clientCAFile: ${PKI}/ca.crt}}\nstaticPodPath: /etc/kubernetes/manifests\n`,
    );
    await node.addUnit('kubelet.service', {
      text: '[Service]\nExecStart=/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml --hostname-override=KP1\n',
    });
  });
  afterEach(() => node.remove());

  function manifest(name: string): Promise<string> {
    return readFile(join(import.meta.dirname, `fixtures/kubeadm-1.20/${name}.manifest`), 'utf8');
  }
  function detect(overrides?: DetectOverrides) {
    const deps = { layout: node.layout, run: node.run, hostname: 'host', ...(overrides && { overrides }) };
    return detectNode(deps, new AbortController().signal);
  }
  async function problems(overrides?: DetectOverrides): Promise<string[]> {
    const { problems: found } = await detect(overrides);
    return found.map(
      ({ component, message, path }) => `${component}: ${message} | ${path?.slice(node.layout.root.length)}`,
    );
  }

  it('finds all components in their order', async () => {
    const { components, problems: found } = await detect();
    assert.deepEqual(found, []);
    assert.deepEqual(
      components.map(({ component, version, process }) => [component, version, process.kind, process.name]),
      [
        ['etcd', '3.4.13', 'static-pod', 'etcd-kp1'],
        ['kube-apiserver', '1.20.2', 'static-pod', 'kube-apiserver-kp1'],
        ['kube-controller-manager', '1.20.2', 'static-pod', 'kube-controller-manager-kp1'],
        ['kube-scheduler', '1.20.2', 'static-pod', 'kube-scheduler-kp1'],
        ['kubelet', '', 'unit', 'kubelet.service'],
        ['admin', '', 'none', ''],
      ],
    );
    const [etcd, apiserver, manager, , , admin] = components;
    assert.ok(etcd?.component === 'etcd' && etcd.process.activeState === 'active');
    assert.deepEqual(etcd.settings.get('peer-cert-file'), { value: `${PKI}/etcd/peer.crt`, from: 'flag' });
    assert.ok(apiserver?.component === 'kube-apiserver');
    assert.deepEqual(apiserver.flags.get('etcd-certfile'), [`${PKI}/apiserver-etcd-client.crt`]);
    assert.deepEqual(apiserver.effectiveFlags, apiserver.flags);
    assert.ok(manager?.component === 'kube-controller-manager');
    assert.deepEqual(
      manager.kubeconfigs.map(({ path }) => path),
      [node.path('/etc/kubernetes/controller-manager.conf')],
    );
    assert.ok(admin?.component === 'admin');
    assert.deepEqual(
      admin.kubeconfigs.map(({ profile, file }) => [profile, file.path]),
      [
        ['admin-client', node.path('/etc/kubernetes/admin.conf')],
        ['super-admin-client', node.path('/etc/kubernetes/super-admin.conf')],
      ],
    );
  });

  it('lists every certificate with who refers to it, and those that nobody refers to', async () => {
    const { certificates } = await detect();
    const consumers = new Map<string, string[]>();
    for (const { path, consumer, certificatePem } of certificates) {
      assert.equal(certificatePem, CERTIFICATE_PEM, path);
      const short = path.slice(node.path('/etc/kubernetes/').length);
      consumers.set(short, [...(consumers.get(short) ?? []), consumer]);
    }
    assert.deepEqual(Object.fromEntries(consumers), {
      'admin.conf': ['admin admin-client certificate-authority-data', 'admin admin-client client-certificate-data'],
      'controller-manager.conf': [
        'kube-controller-manager --kubeconfig certificate-authority-data',
        'kube-controller-manager --kubeconfig client-certificate-data',
      ],
      'kubelet.conf': [
        'kubelet --kubeconfig certificate-authority-data',
        'kubelet --kubeconfig client-certificate-data',
      ],
      'pki/apiserver-etcd-client.crt': ['kube-apiserver --etcd-certfile'],
      'pki/apiserver-kubelet-client.crt': ['kube-apiserver --kubelet-client-certificate'],
      'pki/apiserver.crt': ['kube-apiserver --tls-cert-file'],
      'pki/ca.crt': [
        'kube-apiserver --client-ca-file',
        'kube-controller-manager --client-ca-file',
        'kube-controller-manager --cluster-signing-cert-file',
        'kube-controller-manager --root-ca-file',
        'kubelet authentication.x509.clientCAFile',
      ],
      'pki/etcd/ca.crt': ['etcd --peer-trusted-ca-file', 'etcd --trusted-ca-file', 'kube-apiserver --etcd-cafile'],
      'pki/etcd/healthcheck-client.crt': [''],
      'pki/etcd/peer.crt': ['etcd --peer-cert-file'],
      'pki/etcd/server.crt': ['etcd --cert-file'],
      'pki/front-proxy-ca.crt': [
        'kube-apiserver --requestheader-client-ca-file',
        'kube-controller-manager --requestheader-client-ca-file',
      ],
      'pki/front-proxy-client.crt': ['kube-apiserver --proxy-client-cert-file'],
      'scheduler.conf': [
        'kube-scheduler --kubeconfig certificate-authority-data',
        'kube-scheduler --kubeconfig client-certificate-data',
      ],
      'super-admin.conf': [
        'admin super-admin-client certificate-authority-data',
        'admin super-admin-client client-certificate-data',
      ],
    });
  });

  it('reads the folder that kubelet reads, or the one that agent.yaml names', async () => {
    const config = 'kind: KubeletConfiguration\nstaticPodPath: /srv/pods\n';
    await node.write('/var/lib/kubelet/config.yaml', config);
    await node.addManifest('/srv/pods/x.yaml', await manifest('etcd'));
    const names = async (overrides?: DetectOverrides) =>
      (await detect(overrides)).components.filter(({ process }) => process.kind === 'static-pod').length;
    assert.equal(await names(), 1);
    assert.equal(await names({ manifestsFolder: '/etc/kubernetes/manifests' }), 4);
    assert.equal(await names({ manifestsFolder: '' }), 1);
    await node.write('/var/lib/kubelet/config.yaml', 'kind: KubeletConfiguration\n');
    assert.equal(await names(), 0, 'this kubelet runs no static pods');
    await node.write('/var/lib/kubelet/config.yaml', 'kind: Other\n');
    assert.equal(await names(), 4, 'nothing is known of this kubelet');
  });

  it('refuses a component that is there as a unit and as a pod, until agent.yaml says which counts', async () => {
    await node.addUnit('etcd.service', { text: '[Service]\nExecStart=/usr/bin/etcd\n', user: 'etcd' });
    assert.deepEqual(await problems(), [
      'etcd: runs as etcd.service and as a static pod: stop one, or name in agent.yaml the one that counts (components.etcd) | /etc/kubernetes/manifests/etcd.yaml',
    ]);
    const text = await manifest('etcd');
    await node.addManifest('etcd.yaml', text.replace('- etcd\n', '- /bin/sh\n'));
    assert.match(
      (await problems()).join(),
      /^etcd: runs as etcd\.service and as a static pod \(of its manifest: .* runs \/bin\/sh/,
    );
    await node.addManifest('etcd.yaml', text);
    const kind = async (etcd: NonNullable<DetectOverrides['components']>['etcd']) =>
      (await detect({ components: { etcd } })).components[0]?.process.kind;
    assert.equal(await kind({ unit: 'etcd.service' }), 'unit');
    assert.equal(await kind({ manifest: '/etc/kubernetes/manifests/etcd.yaml' }), 'static-pod');
    const wrong = await problems({ components: { etcd: { unit: 'etc.service' } } });
    assert.match(wrong.join(), /etcd: agent\.yaml names etc\.service as the unit of etcd, and it is neither/);
  });

  it('names a pod that has a TLS file from another path of the host, and finds the others', async () => {
    const moved = (text: string, path: string) =>
      text.replace(`- hostPath:\n      path: ${path}\n`, '- hostPath:\n      path: /srv/x\n');
    await node.addManifest('etcd.yaml', moved(await manifest('etcd'), `${PKI}/etcd`));
    await node.addManifest(
      'kube-scheduler.yaml',
      moved(await manifest('kube-scheduler'), '/etc/kubernetes/scheduler.conf'),
    );
    assert.deepEqual(await problems(), [
      `etcd: --cert-file names ${PKI}/etcd/server.crt, which comes from /srv/x: mount it from the same path of the host | /etc/kubernetes/manifests/etcd.yaml`,
      'kube-scheduler: --kubeconfig names /etc/kubernetes/scheduler.conf, which comes from /srv/x: mount it from the same path of the host | /etc/kubernetes/manifests/kube-scheduler.yaml',
    ]);
  });

  it('looks for the files that a kubeconfig names in the container too', async () => {
    await node.write('/etc/kubernetes/scheduler.conf', kubeconfigText('client-certificate: pki/s.crt'));
    assert.match(
      (await problems()).join(),
      /client-certificate of \/etc\/kubernetes\/scheduler\.conf names \/etc\/kubernetes\/pki\/s\.crt, which is not mounted/,
    );
  });

  it("takes etcd's settings from the file that its pod names, when the pod has it from the host", async () => {
    const text = (await manifest('etcd')).replace(
      '    - --snapshot-count=10000\n',
      '    - --config-file=/etc/kubernetes/pki/etcd/e.yml\n',
    );
    await node.addManifest('etcd.yaml', text);
    await node.write(`${PKI}/etcd/e.yml`, `client-transport-security: {cert-file: ${PKI}/etcd/server.crt}\n`);
    const [etcd] = (await detect()).components;
    assert.ok(etcd?.component === 'etcd');
    assert.deepEqual([...etcd.settings.keys()], ['cert-file']);
    await node.addManifest('etcd.yaml', text.replace('etcd/e.yml', 'e.yml'));
    assert.match((await problems()).join(), /--config-file names .*e\.yml, which is not mounted/);
  });

  it('leaves alone what agent.yaml says, and lists its certificates all the same', async () => {
    const before = await detect();
    const overrides = {
      components: { 'kube-scheduler': { manage: false }, admin: { manage: false }, etcd: { manage: true } },
    };
    const after = await detect(overrides);
    assert.deepEqual(
      after.components.map(({ component }) => component),
      ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubelet'],
    );
    assert.deepEqual(after.certificates, before.certificates);
  });

  it('says in the list what could not be read of a component that it leaves alone', async () => {
    await node.addManifest('kube-scheduler.yaml', 'a: [');
    const { problems: found, certificates } = await detect({ components: { 'kube-scheduler': { manage: false } } });
    assert.deepEqual(found, []);
    const listed = certificates.find(({ consumer }) => consumer === 'kube-scheduler');
    assert.equal(listed?.path, node.path('/etc/kubernetes/manifests/kube-scheduler.yaml'));
    assert.match(listed.problem, /^line 1: is no YAML/);
  });

  it('knows kubeconfigs of administrators by agent.yaml, and refuses one that is none', async () => {
    await node.write('/root/.kube/config', EMBEDDED);
    const { components } = await detect({
      adminKubeconfigs: [{ path: '/root/.kube/config', profile: 'admin-client' }],
    });
    const admin = components.at(-1);
    assert.ok(admin?.component === 'admin');
    assert.deepEqual(
      admin.kubeconfigs.map(({ file }) => file.path),
      [node.path('/root/.kube/config')],
    );
    const none = await detect({ adminKubeconfigs: [{ path: '/nothing', profile: 'admin-client' }] });
    assert.ok(none.components.every(({ component }) => component !== 'admin'));
    await node.write('/etc/kubernetes/admin.conf', 'kind: Config\n');
    assert.deepEqual(await problems(), ['admin: the kubeconfig has no current-context | /etc/kubernetes/admin.conf']);
  });

  it('does not list a file twice that a link leads to, nor a key', async () => {
    await symlink('apiserver.crt', node.path(`${PKI}/link.crt`));
    await node.write(`${PKI}/admin-key.pem`, '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n');
    await node.write(`${PKI}/spare.pem`, CERTIFICATE_PEM);
    await node.write(`${PKI}/broken.crt`, 'x');
    const loose = (await detect()).certificates.filter(({ consumer }) => consumer === '');
    assert.deepEqual(
      loose.map(({ path, problem }) => [path.slice(node.path(PKI).length + 1), problem]),
      [
        ['broken.crt', 'holds no PEM certificate'],
        ['etcd/healthcheck-client.crt', ''],
        ['spare.pem', ''],
      ],
    );
  });
});
