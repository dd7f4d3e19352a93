import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ComponentChange } from './change.ts';
import { makeAuthority } from './fake-authorities.ts';
import { FakeCluster } from './fake-cluster.ts';
import { apiserverCommand, kubeletCommand, kubeletConfig, pki } from './fake-parts.ts';
import { issueOdd } from './odd-certificate-for-tests.ts';
import { applyAll, assertDone, changeOf, on } from './plan-for-tests.ts';
import { renderPlan } from './render-diff.ts';

const certDir = apiserverCommand.replace(/--tls-cert-file=\S+ --tls-private-key-file=\S+/, '--cert-dir=/pki');

function odd(cluster: FakeCluster, names: readonly string[]): string {
  const signer = cluster.signers.get('kubernetes');
  assert.ok(signer);
  return issueOdd(signer, { names, serial: '-5' });
}

function namesOf({ slots }: ComponentChange): string[] {
  const serving = slots.find(({ file }) => file === 'serving');
  return [...(serving?.dnsNames ?? []), ...(serving?.ipAddresses ?? [])];
}

describe('the names of a certificate in use that only OpenSSL and Go read', () => {
  it('are kept, and those that no certificate of ours holds are told', () =>
    on(FakeCluster.controlPlane(), async (cluster) => {
      const names = ['DNS.1=lb.example.com', 'IP.1=192.0.2.9', 'email.1=a@b.example', 'URI.1=spiffe://lab/x'];
      await cluster.node.write(`${pki}/apiserver.crt`, odd(cluster, names));
      const plan = await applyAll(cluster);
      const kept = namesOf(changeOf(plan, 'kube-apiserver'));
      assert.ok(kept.includes('lb.example.com') && kept.includes('192.0.2.9'));
      assert.match(
        renderPlan(plan),
        /, without URI:spiffe:\/\/lab\/x, email:a@b\.example of the one that is served now;/,
      );
    }));

  it('hold the change up by a DNS name that no certificate of ours can hold', () =>
    on(FakeCluster.controlPlane(), async (cluster) => {
      await cluster.node.write(
        `${pki}/apiserver.crt`,
        odd(cluster, ['DNS.1=K8s foo bar', 'DNS.2=lb.example.com', 'DNS.3=x.*.example']),
      );
      const messages = (await cluster.plan()).problems.map(({ message }) => message).join('\n');
      assert.match(messages, /the DNS name "k8s foo bar" is malformed; replace/);
      assert.match(messages, /the DNS name "x\.\*\.example" is malformed; replace/);
    }));

  it('hold an etcd up as well', () =>
    on(FakeCluster.controlPlane(), async (cluster) => {
      await cluster.addEtcd({ defaults: 'ETCD_CERT_FILE=/e/s.crt\nETCD_KEY_FILE=/e/s.key\n' });
      await cluster.node.write('/e/s.crt', odd(cluster, ['DNS.1=K8s foo bar']));
      assert.match((await cluster.plan()).problems[0]?.message ?? '', /^server\.crt cannot be issued: .*"k8s foo bar"/);
    }));
});

describe('a certificate that is found by its default path', () => {
  it('keeps its names, and the key that verified tokens with it', () =>
    on(
      FakeCluster.controlPlane({ apiserver: certDir.replace(/--service-account-key-file=\S+/, '') }),
      async (cluster) => {
        await cluster.node.write(
          '/pki/apiserver.crt',
          (await cluster.issue('kubernetes', ['lb.example.com'], ['192.0.2.9'])).pem,
        );
        const change = changeOf(await applyAll(cluster), 'kube-apiserver');
        const kept = namesOf(change);
        assert.ok(kept.includes('lb.example.com') && kept.includes('192.0.2.9'));
        assert.match(change.files[0]?.after.text ?? '', /--service-account-key-file=\/pki\/apiserver\.key/);
        await assertDone(cluster);
      },
    ));

  it('is none of the names that a kubelet gave itself', () =>
    on(FakeCluster.worker({ kubelet: { command: kubeletCommand, config: kubeletConfig } }), async (cluster) => {
      const path = '/var/lib/kubelet/pki/kubelet.crt';
      const odd = { subject: ['CN=old@1700000000'], names: ['DNS.1=old'] };
      await cluster.node.write(path, issueOdd(await makeAuthority('old-ca@1700000000'), odd));
      assert.equal(namesOf(changeOf(await cluster.plan(), 'kubelet')).includes('old'), false);
      await cluster.node.write(path, (await cluster.issue('kubernetes', ['w1.example'], [])).pem);
      assert.match(renderPlan(await cluster.plan()), /without w1\.example of the one that is served now/);
    }));

  it('is what the cluster signed for a kubelet that asks for it', () =>
    on(
      FakeCluster.worker({
        kubelet: { command: kubeletCommand, config: `${kubeletConfig}serverTLSBootstrap: true\n` },
      }),
      async (cluster) => {
        const { pem } = await cluster.issue('kubernetes', ['w1.example.com'], ['10.77.0.11']);
        await cluster.node.write('/var/lib/kubelet/pki/kubelet-server-current.pem', pem);
        // the API server dials a kubelet by its node's addresses, and the server gives no node any other name
        assert.match(renderPlan(await applyAll(cluster)), /without w1\.example\.com of the one that is served now/);
      },
    ));

  it('tells the names of a manager that are not those of its node', () =>
    on(FakeCluster.bareControlPlane(), async (cluster) => {
      await cluster.addManager('kube-scheduler', ' --cert-dir=/pki');
      await cluster.node.write(
        '/pki/kube-scheduler.crt',
        (await cluster.issue('kubernetes', ['cp1', 'm.example'], [])).pem,
      );
      const plan = await applyAll(cluster);
      assert.match(
        renderPlan(plan),
        /kube-scheduler-serving for cp1, .*, without m\.example of the one that is served now/,
      );
    }));
});
