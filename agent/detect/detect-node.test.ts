import assert from 'node:assert/strict';
import { symlink, truncate } from 'node:fs/promises';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CERTIFICATE_PEM, kubeconfigText } from './certificate-for-tests.ts';
import { detectNode } from './detect-node.ts';
import { FakeNode } from './fake-node.ts';

const PKI = '/etc/kubernetes/pki';

/** As the lab's cluster.sh writes units. */
function unitText(command: string): string {
  return `[Unit]\nDescription=x\n[Service]\nExecStart=${command}\nRestart=always\nRestartSec=2\n[Install]\nWantedBy=multi-user.target\n`;
}

const APISERVER = `/opt/bin/kube-apiserver --advertise-address=10.77.0.10 --allow-privileged=true --client-ca-file=${PKI}/ca.crt --etcd-servers=http://127.0.0.1:2379 --kubelet-client-certificate=${PKI}/apiserver-kubelet-client.crt --requestheader-client-ca-file=${PKI}/front-proxy-ca.crt --proxy-client-cert-file=${PKI}/front-proxy-client.crt --tls-cert-file=${PKI}/apiserver.crt --tls-private-key-file=${PKI}/apiserver.key --tls-sni-cert-key=${PKI}/sni.crt,${PKI}/sni.key:a.example --v=2`;

describe('detectNode', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await FakeNode.create();
  });
  afterEach(() => node.remove());

  function detect(signal = new AbortController().signal) {
    return detectNode({ layout: node.layout, run: node.run, hostname: 'cp1' }, signal);
  }
  async function certificates(): Promise<string[]> {
    const found = await detect();
    return found.certificates.map(
      ({ path, consumer, certificatePem, problem }) =>
        `${path.slice(node.layout.root.length)} | ${consumer} | ${certificatePem === CERTIFICATE_PEM ? 'read' : problem}`,
    );
  }

  it('finds nothing on a node with nothing', async () => {
    assert.deepEqual(await detect(), { components: [], problems: [], certificates: [] });
  });

  it("finds the control plane of the lab's cluster", async () => {
    await node.addUnit('etcd.service', { text: unitText('/usr/bin/etcd'), user: 'etcd' });
    await node.addUnit('kube-apiserver.service', { text: unitText(APISERVER) });
    node.answers.set('/opt/bin/kube-apiserver --version', { code: 0, stdout: 'Kubernetes v1.20.2\n', stderr: '' });
    const { components, problems } = await detect();
    assert.deepEqual(problems, []);
    assert.deepEqual(
      components.map(({ component, version, process }) => [component, version, process.uid]),
      [
        ['etcd', '', 107],
        ['kube-apiserver', '1.20.2', 0],
      ],
    );
    const apiserver = components[1];
    assert.ok(apiserver?.component === 'kube-apiserver');
    assert.deepEqual(apiserver.flags.get('etcd-servers'), ['http://127.0.0.1:2379']);
    assert.deepEqual(apiserver.effectiveFlags, apiserver.flags);
    assert.equal(apiserver.process.command.map((word) => word.raw).join(' '), APISERVER);
  });

  it('lists every certificate of the API server, read or not', async () => {
    await node.write(`${PKI}/ca.crt`, `# the CA\n${CERTIFICATE_PEM}${CERTIFICATE_PEM}`);
    await node.write(`${PKI}/apiserver.crt`, 'garbage');
    await node.write(`${PKI}/front-proxy-ca.crt`, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    await node.addUnit('kube-apiserver.service', { text: unitText(APISERVER) });
    const found = await certificates();
    assert.deepEqual(
      found.map((line) => line.replace(/ \| [^|]*asn1[^|]*$/i, ' | no ASN.1')),
      [
        `${PKI}/apiserver-kubelet-client.crt | kube-apiserver --kubelet-client-certificate | there is no such file`,
        `${PKI}/apiserver.crt | kube-apiserver --tls-cert-file | holds no PEM certificate`,
        `${PKI}/ca.crt | kube-apiserver --client-ca-file | read`,
        `${PKI}/front-proxy-ca.crt | kube-apiserver --requestheader-client-ca-file | no ASN.1`,
        `${PKI}/front-proxy-client.crt | kube-apiserver --proxy-client-cert-file | there is no such file`,
        `${PKI}/sni.crt | kube-apiserver --tls-sni-cert-key | there is no such file`,
      ],
    );
  });

  it('lists the certificates of a kubelet, embedded ones and those of its own that it uses, and never a key', async () => {
    const key = '-----BEGIN EC PRIVATE KEY-----\nsecret\n-----END EC PRIVATE KEY-----\n';
    await node.write('/var/lib/kubelet/pki/kubelet-client-current.pem', key + CERTIFICATE_PEM);
    await node.write('/var/lib/kubelet/pki/kubelet-client-2026-01-01-00-00-00.pem', CERTIFICATE_PEM);
    await node.write('/var/lib/kubelet/pki/kubelet.crt', CERTIFICATE_PEM);
    await node.write('/etc/kubernetes/kubelet.conf', kubeconfigText('client-certificate: ../kubelet-client.crt'));
    await node.write('/etc/kubelet-client.crt', CERTIFICATE_PEM);
    await node.write(
      '/k.yaml',
      'kind: KubeletConfiguration\nrotateCertificates: true\ntlsCertFile: rel.crt\nauthentication: {x509: {clientCAFile: /ca.crt}}\n',
    );
    await node.addUnit('kubelet.service', {
      text: unitText('/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/k.yaml'),
    });
    const { certificates: found } = await detect();
    assert.ok(!JSON.stringify(found).includes('secret'));
    assert.deepEqual(
      found.map(({ path, consumer, certificatePem, problem }) => [path, consumer, certificatePem ?? problem]),
      [
        [node.path('/ca.crt'), 'kubelet authentication.x509.clientCAFile', 'there is no such file'],
        [node.path('/etc/kubelet-client.crt'), 'kubelet --kubeconfig client-certificate', CERTIFICATE_PEM],
        [node.path('/etc/kubernetes/kubelet.conf'), 'kubelet --kubeconfig certificate-authority-data', CERTIFICATE_PEM],
        [node.path('/var/lib/kubelet/pki/kubelet-client-current.pem'), 'kubelet --cert-dir', CERTIFICATE_PEM],
        ['rel.crt', 'kubelet tlsCertFile', 'is no absolute path'],
      ],
    );
  });

  it("lists etcd's certificates as they are in force", async () => {
    await node.write('/new.crt', CERTIFICATE_PEM);
    await node.addUnit('etcd.service', {
      text: unitText('/usr/bin/etcd --cert-file=/old.crt'),
      dropIns: {
        '/etc/systemd/system/etcd.service.d/50-kube-mtls.conf':
          '[Service]\nEnvironment=ETCD_TRUSTED_CA_FILE=/ca.crt\nExecStart=\nExecStart=/usr/bin/etcd --cert-file=/new.crt\n',
      },
    });
    assert.deepEqual(await certificates(), [
      '/ca.crt | etcd --trusted-ca-file | there is no such file',
      '/new.crt | etcd --cert-file | read',
    ]);
  });

  it('lists the certificates of a controller manager, a proxy and the scheduler as units', async () => {
    await node.write('/cm.conf', kubeconfigText(`client-certificate-data: ${btoa(CERTIFICATE_PEM)}`));
    await node.write('/s.conf', kubeconfigText('client-certificate: /s.crt'));
    await node.write('/s.yaml', 'kind: KubeSchedulerConfiguration\nclientConnection: {kubeconfig: /s.conf}\n');
    await node.addUnit('kube-controller-manager.service', {
      text: unitText(
        '/opt/bin/kube-controller-manager --kubeconfig=/cm.conf --authentication-kubeconfig=/cm.conf --root-ca-file=/ca.crt',
      ),
    });
    await node.addUnit('kube-scheduler.service', {
      text: unitText('/opt/bin/kube-scheduler --config=/s.yaml --tls-sni-cert-key=/sni.crt,/sni.key'),
    });
    await node.addUnit('kube-proxy.service', { text: unitText('/opt/bin/kube-proxy --kubeconfig=/s.conf') });
    assert.deepEqual(await certificates(), [
      '/ca.crt | kube-controller-manager --root-ca-file | there is no such file',
      '/cm.conf | kube-controller-manager --kubeconfig certificate-authority-data | read',
      '/cm.conf | kube-controller-manager --kubeconfig client-certificate-data | read',
      '/s.conf | kube-proxy --kubeconfig certificate-authority-data | read',
      '/s.conf | kube-scheduler --config certificate-authority-data | read',
      '/s.crt | kube-proxy --kubeconfig client-certificate | there is no such file',
      '/s.crt | kube-scheduler --config client-certificate | there is no such file',
      '/sni.crt | kube-scheduler --tls-sni-cert-key | there is no such file',
    ]);
    const { components, problems } = await detect();
    assert.deepEqual(problems, []);
    assert.deepEqual(
      components.map(({ component }) => component),
      ['kube-controller-manager', 'kube-scheduler', 'kube-proxy'],
    );
  });

  it('names what is wrong with one component and still finds the others', async () => {
    await node.addUnit('etcd.service', { text: '[Service]\nExecStart=/usr/bin/etcd "\n' });
    await node.addUnit('kube-apiserver.service', { text: unitText(APISERVER) });
    const { components, problems } = await detect();
    assert.deepEqual(
      components.map(({ component }) => component),
      ['kube-apiserver'],
    );
    assert.deepEqual(problems, [
      {
        component: 'etcd',
        message: 'the quote " is not closed',
        path: node.path('/etc/systemd/system/etcd.service'),
        line: 2,
      },
    ]);
  });

  it('names kube-proxy in a static pod and leaves it alone', async () => {
    await node.addManifest(
      'p.yaml',
      'kind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: p, command: [kube-proxy, --kubeconfig=/k]}\n',
    );
    assert.deepEqual((await detect()).problems, [
      {
        component: 'kube-proxy',
        message: 'runs kube-proxy as a static pod, which is not understood: only its unit is',
        path: node.path('/etc/kubernetes/manifests/p.yaml'),
      },
    ]);
  });

  it('takes the unit names that agent.yaml gives', async () => {
    await node.addUnit('etcd-member.service', { text: unitText('/usr/bin/etcd --name=%p') });
    const overrides = { components: { etcd: { unit: 'etcd-member.service' } } };
    const deps = { layout: node.layout, run: node.run, hostname: 'cp1', overrides };
    const [etcd] = (await detectNode(deps, new AbortController().signal)).components;
    assert.ok(etcd?.component === 'etcd');
    assert.deepEqual(etcd.process.command[1]?.values, ['--name=etcd-member']);
  });

  it('reads no certificate, environment or kubeconfig without end', { timeout: 30_000 }, async () => {
    await node.addUnit('kube-apiserver.service', { text: unitText(APISERVER) });
    await node.addUnit('etcd.service', {
      text: `${unitText('/usr/bin/etcd')}[Service]\nEnvironmentFile=/etc/etcd.env\n`,
    });

    await node.write(`${PKI}/apiserver.crt`, '');
    await truncate(node.path(`${PKI}/apiserver.crt`), 2 ** 40);
    await symlink('/proc/self/pagemap', node.path(`${PKI}/ca.crt`));
    await symlink('/proc/self/pagemap', node.path('/etc/etcd.env'));
    await symlink('/proc/self', node.path('/p'));
    await node.addUnit('kube-proxy.service', { text: unitText('/usr/bin/kube-proxy --kubeconfig=/p/pagemap') });
    const { problems, certificates: found } = await detect();
    const madeUp = 'lies in a file system of the kernel, as /proc, whose files may have no end';
    assert.deepEqual(
      problems.map(({ component, message }) => [component, message]),
      [
        ['etcd', madeUp],
        ['kube-proxy', madeUp],
      ],
    );
    const problemOf = (name: string) => found.find(({ path }) => path.endsWith(`${PKI}/${name}`))?.problem;
    assert.deepEqual([problemOf('ca.crt'), problemOf('apiserver.crt')], [madeUp, 'is larger than 4 MiB']);
  });

  it('lists no folder without end', async () => {
    for (let n = 0; n <= 1000; n++) await node.write(`${PKI}/etcd/${n}.crt`, CERTIFICATE_PEM);
    assert.deepEqual((await detect()).certificates, []);
  });

  it('changes nothing and runs nothing but systemctl show and --version', async () => {
    await node.addUnit('etcd.service', { text: unitText('/usr/bin/etcd') });
    await detect();
    assert.deepEqual(
      node.ran.filter((line) => !/^systemctl show -p [A-Za-z,]+ [a-z-]+\.service$/.test(line)),
      ['/usr/bin/etcd --version'],
    );
  });

  it('throws when systemd does not answer, and stops with its signal', async () => {
    const run = async () => ({ code: 1, stdout: '', stderr: 'no bus' });
    await assert.rejects(detectNode({ layout: node.layout, run }, new AbortController().signal), {
      reason: 'unavailable',
    });
    await assert.rejects(detect(AbortSignal.abort()), { name: 'AbortError' });
  });
});
