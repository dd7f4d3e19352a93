import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { FakeCluster, type FakeParts } from './fake-cluster.ts';
import { kubeletCommand, kubeletConfig } from './fake-parts.ts';

/** Texts after the plan by the last part of their path, without our folder. Applying it must leave nothing to do. */
async function textsAfter(kubelet: NonNullable<FakeParts['kubelet']>): Promise<Record<string, string>> {
  const cluster = await FakeCluster.worker({ kubelet });
  try {
    const plan = await cluster.plan();
    assert.deepEqual(plan.problems, []);
    await cluster.apply(plan);
    assert.deepEqual(await cluster.plan(), { changes: [], problems: [] });
    const files = plan.changes[0]?.components[0]?.files ?? [];
    return Object.fromEntries(
      files.map(({ after }) => [after.path.replace(/.*\//, ''), after.text.replace(/\/[^\s"]*\/current\//g, '')]),
    );
  } finally {
    await cluster.remove();
  }
}

describe('planKubelet', () => {
  it('changes only configuration and kubeconfig where no flag is in the way', async () => {
    const texts = await textsAfter({});
    assert.deepEqual(Object.keys(texts), ['config.yaml', 'kubelet.conf']);
    assert.equal(
      texts['config.yaml'],
      `${kubeletConfig
        .replace('/etc/kubernetes/pki/ca.crt', 'client-ca.crt')
        .replace(
          'rotateCertificates: true',
          'rotateCertificates: false',
        )}tlsCertFile: "serving.crt"\ntlsPrivateKeyFile: "serving.key"\n`.replaceAll('"', ''),
    );
  });

  it('replaces the flags that would win over the configuration, and drops the bootstrap', async () => {
    const flags =
      '--client-ca-file=/etc/kubernetes/pki/ca.crt --anonymous-auth --rotate-certificates=true --rotate-server-certificates';
    const texts = await textsAfter({ command: `${kubeletCommand} --bootstrap-kubeconfig=/b.conf ${flags}` });
    const lines = (texts['50-kube-mtls.conf'] ?? '').split(/ \\?\n\s*/);
    for (const want of ['--client-ca-file=client-ca.crt', '--anonymous-auth=false', '--rotate-certificates=false']) {
      assert.ok(lines.includes(want), want);
    }
    assert.match(texts['50-kube-mtls.conf'] ?? '', /--rotate-server-certificates=false$/m);
    assert.doesNotMatch(texts['50-kube-mtls.conf'] ?? '', /bootstrap|tls-cert-file/);
  });

  it('sets everything by flags where there is no configuration', async () => {
    const texts = await textsAfter({
      command: '/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --hostname-override=w1',
    });
    assert.deepEqual(Object.keys(texts), ['kubelet.conf', '50-kube-mtls.conf']);
    for (const flag of ['tls-cert-file=serving.crt', 'client-ca-file=client-ca.crt', 'anonymous-auth=false']) {
      assert.ok(texts['50-kube-mtls.conf']?.includes(`--${flag}`), flag);
    }
  });

  it('ends the rotation of the serving certificate by the cluster only where it was on', async () => {
    const on = await textsAfter({ config: `${kubeletConfig}serverTLSBootstrap: true # csr\n` });
    assert.match(on['config.yaml'] ?? '', /^serverTLSBootstrap: false # csr$/m);
    assert.doesNotMatch((await textsAfter({}))['config.yaml'] ?? '', /serverTLSBootstrap/);
  });

  it('writes a file of its own where a folder of configurations is read, and leaves the others', async () => {
    const texts = await textsAfter({ command: `${kubeletCommand} --config-dir=/etc/kubernetes/kubelet.conf.d` });
    assert.deepEqual(Object.keys(texts), ['90-kube-mtls.conf', 'kubelet.conf']);
    const { authentication, rotateCertificates, tlsCertFile } = parse(texts['90-kube-mtls.conf'] ?? '');
    assert.equal(authentication.x509.clientCAFile, 'client-ca.crt');
    assert.deepEqual([rotateCertificates, tlsCertFile], [false, 'serving.crt']);
  });

  it('needs no flags where only a folder of configurations is read', async () => {
    const command = '/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --hostname-override=w1';
    const texts = await textsAfter({ command: `${command} --config-dir=/etc/kubernetes/kubelet.conf.d` });
    assert.deepEqual(Object.keys(texts), ['90-kube-mtls.conf', 'kubelet.conf']);
  });

  it('keeps a configuration in JSON in JSON', async () => {
    const config = JSON.stringify(
      { kind: 'KubeletConfiguration', authentication: { webhook: { enabled: true } } },
      null,
      2,
    );
    const after = JSON.parse((await textsAfter({ config }))['config.yaml'] ?? '');
    assert.equal(after.authentication.x509.clientCAFile, 'client-ca.crt');
    assert.equal(after.authentication.webhook.enabled, true);
  });

  it('changes no other key and no comment, for many configurations', async () => {
    const blocks = [
      'cgroupDriver: systemd # as containerd\n',
      'evictionHard:\n    # a comment\n    memory.available: "200Mi"\n',
      'rotateCertificates: true\n',
      'tlsCertFile: ""\n',
      'clusterDNS:\n- 10.96.0.10\n- 10.96.0.11\n',
      '# alone\n\n',
      "clusterDomain: 'cluster.local'\n",
      'featureGates: {A: true, B: false}\n',
    ];
    const authentications = [
      '',
      'authentication:\n  webhook:\n    cacheTTL: 2m0s\n  anonymous:\n    enabled: true # really\n',
      'authentication:\n',
      'authentication: {}\n',
      'authentication:\n  x509: {}\n',
    ];
    for (let round = 0; round < 16; round++) {
      const chosen = blocks.filter((_, index) => ((round * 37) >> (index % 6)) & 1);
      const config = `kind: KubeletConfiguration\n${chosen.slice(0, 2).join('')}${authentications[round % 5]}${chosen.slice(2).join('')}`;
      const text = (await textsAfter({ config }))['config.yaml'] ?? '';
      const ours = ['tlsCertFile', 'tlsPrivateKeyFile', 'rotateCertificates', 'authentication'];
      const others = (from: string) => Object.entries(parse(from)).filter(([key]) => !ours.includes(key));
      assert.deepEqual(others(text), others(config), config);
      for (const comment of config.match(/#.*/g) ?? []) assert.ok(text.includes(comment), comment);
      assert.deepEqual(parse(text).authentication.anonymous, { enabled: false });
    }
  });
});
