import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { Authority } from '../../common/names/names.ts';
import type { Signer } from '../../common/x509/sign.ts';
import { makeAuthority, nowMs } from './fake-authorities.ts';
import { FakeCluster } from './fake-cluster.ts';
import {
  apiserverCommand,
  etcdUnit,
  kubeconfigText,
  kubeletCommand,
  kubeletConfig,
  managerKubeconfigs,
  pki,
} from './fake-parts.ts';
import { issueOdd } from './odd-certificate-for-tests.ts';
import { applyAll, on } from './plan-for-tests.ts';

const day = 24 * 60 * 60 * 1000;
/** What an API server makes itself where --cert-dir is not given; returns its CA. */
async function serveSelfMade(cluster: FakeCluster): Promise<string> {
  const made = await makeAuthority('10.77.0.10-ca@1700000000');
  await cluster.addApiserver(apiserverCommand.replace(/--tls-cert-file=\S+ --tls-private-key-file=\S+/, ''));
  await cluster.node.write(
    '/var/run/kubernetes/apiserver.crt',
    issueOdd(made, { subject: ['CN=10.77.0.10@1700000000'], names: ['IP.1=10.77.0.99'] }),
  );
  return made.certificate.pem;
}

function signer({ signers }: FakeCluster, authority: Authority): Signer {
  const found = signers.get(authority);
  assert.ok(found);
  return found;
}

/** What is said of kube-apiserver or etcd, without the root. */
async function complaints(cluster: FakeCluster): Promise<string[]> {
  const { problems } = await cluster.plan();
  return problems.map(
    ({ component, message, path = '' }) => `${component} ${path.replace(cluster.node.layout.root, '')}: ${message}`,
  );
}

describe('guardServing', () => {
  it('holds an API server up whose serving certificate is of a CA that is not ours', () =>
    on(FakeCluster.controlPlane(), async (cluster) => {
      await cluster.node.write(`${pki}/apiserver.crt`, (await cluster.issue('front-proxy', ['cp1'], [])).pem);
      const [apiserver, ...others] = (await complaints(cluster)).filter((line) => line.startsWith('kube-apiserver'));
      assert.match(
        apiserver ?? '',
        /pki\/apiserver\.crt: clients would be locked out: --tls-cert-file serves .* CN=front-proxy, .*kubernetes CA; .*--adopt.*--tls-sni-cert-key/,
      );
      assert.deepEqual(others, []);
    }));

  const fine: [what: string, change: (cluster: FakeCluster) => Promise<unknown>][] = [
    ['there is no serving certificate: it makes one itself', (cluster) => cluster.addApiserver(withoutServing)],
    ['it is not there', (cluster) => rm(cluster.node.path(`${pki}/apiserver.crt`))],
    ['it made one itself that nobody here trusts', (cluster) => serveSelfMade(cluster)],
    [
      'it has expired, so that nobody believes it',
      async (cluster) => {
        const { pem } = await cluster.issue('front-proxy', ['cp1'], [], nowMs - 100 * day);
        await cluster.node.write(`${pki}/apiserver.crt`, pem);
      },
    ],
    [
      'it is of the CA that is being replaced',
      async (cluster) => {
        await cluster.beginRotation('kubernetes', true);
        cluster.setPhase('kubernetes', 'reissue');
      },
    ],
    [
      'the new CA is not the one of the certificate, and no leaf is issued yet',
      async (cluster) => {
        await cluster.node.write(`${pki}/apiserver.crt`, (await cluster.issue('front-proxy', ['cp1'], [])).pem);
        await cluster.beginRotation('kubernetes', true);
      },
    ],
  ];

  it('holds an API server up whose serving certificate cannot be read', () =>
    on(FakeCluster.controlPlane(), async (cluster) => {
      await cluster.node.write(`${pki}/apiserver.crt`, 'garbage');
      assert.match(
        (await complaints(cluster)).find((line) => line.startsWith('kube-apiserver')) ?? '',
        /apiserver\.crt: the certificate of --tls-cert-file cannot be read \(holds no PEM certificate\)/,
      );
    }));

  it('compares the issuer of what only OpenSSL and Go read, and of what is found by --cert-dir', () =>
    on(FakeCluster.controlPlane(), async (cluster) => {
      const odd = issueOdd(signer(cluster, 'front-proxy'), { names: ['DNS.1=K8s foo bar'], serial: '-5' });
      await cluster.node.write(`${pki}/apiserver.crt`, odd);
      const held = /clients would be locked out: --\S+ serves a certificate of CN=front-proxy/;
      assert.match((await complaints(cluster)).join('\n'), held);
      await cluster.addApiserver(`${withoutServing} --cert-dir=/pki`);
      assert.deepEqual(await complaints(cluster), []);
      await cluster.node.write('/pki/apiserver.crt', odd);
      assert.match((await complaints(cluster)).join('\n'), held);
    }));

  it('takes a self-made certificate for one like others where a component of the node trusts it', () =>
    on(FakeCluster.controlPlane(), async (cluster) => {
      const root = await serveSelfMade(cluster);
      await cluster.addManager('kube-scheduler');
      await cluster.node.write(
        managerKubeconfigs['kube-scheduler'],
        kubeconfigText('system:kube-scheduler', root, undefined),
      );
      assert.match(
        (await complaints(cluster)).join('\n'),
        /kube-apiserver \S+: clients would be locked out: --cert-dir/,
      );
    }));

  const withoutServing = apiserverCommand.replace(/--tls-cert-file=\S+ --tls-private-key-file=\S+/, '');
  for (const [what, change] of fine) {
    it(`says nothing where ${what}`, () =>
      on(FakeCluster.controlPlane(), async (cluster) => {
        await change(cluster);
        assert.deepEqual(await complaints(cluster), []);
      }));
  }

  it('holds an API server up whose roots for kubelets hold none of ours, while they stay', () =>
    on(
      FakeCluster.controlPlane({ apiserver: `${apiserverCommand} --kubelet-certificate-authority=/k/ca.crt` }),
      async (cluster) => {
        await cluster.node.write('/k/ca.crt', cluster.rootPem('front-proxy'));
        assert.match(
          (await complaints(cluster)).find((line) => line.startsWith('kube-apiserver')) ?? '',
          /\/k\/ca\.crt: kubelets would be locked out: --kubelet-certificate-authority .* kubernetes CA; add /,
        );
        await cluster.node.write('/k/ca.crt', cluster.rootPem('front-proxy') + cluster.rootPem('kubernetes'));
        await applyAll(cluster);
      },
    ));

  it('holds an etcd up whose clients trust another CA than the one that it trusts', () =>
    on(FakeCluster.controlPlane({ etcd: { unit: tlsUnit } }), async (cluster) => {
      await cluster.node.write('/e/ca.crt', cluster.rootPem('etcd'));
      const { pem } = await cluster.issue('front-proxy', ['cp1'], []);
      await cluster.node.write('/e/server.crt', pem);
      assert.match((await complaints(cluster))[0] ?? '', /^etcd \/e\/server\.crt: clients .*--cert-file.*etcd CA;/);
      await cluster.node.write('/e/server.crt', (await cluster.issue('etcd', ['cp1'], [])).pem);
      assert.deepEqual(await complaints(cluster), []);
    }));
  const tlsUnit = etcdUnit.replace(
    'ExecStart=/usr/bin/etcd $DAEMON_ARGS',
    'ExecStart=/usr/bin/etcd --cert-file=/e/server.crt --key-file=/e/k --trusted-ca-file=/e/ca.crt --listen-client-urls=https://127.0.0.1:2379 --advertise-client-urls=https://127.0.0.1:2379',
  );

  it('asks nobody about the certificates of others, which no client verifies', () =>
    on(
      FakeCluster.worker({
        kubelet: {
          command: kubeletCommand,
          config: `${kubeletConfig}tlsCertFile: /w/self.crt\ntlsPrivateKeyFile: /w/self.key\n`,
        },
      }),
      async (cluster) => {
        const { certificate } = await makeAuthority('w1');
        await cluster.node.write('/w/self.crt', certificate.pem);
        await applyAll(cluster);
      },
    ));
});
