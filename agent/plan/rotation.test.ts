import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { type Component, components } from '../../common/names/names.ts';
import { parseCertificate, parseCertificates } from '../../common/x509/certificate.ts';
import { FakeCluster } from './fake-cluster.ts';
import { kubeletConfig } from './fake-parts.ts';
import { applyAll, assertDone, changeOf, flagsOf, groupsOf, on, slotsOf, textsOf } from './plan-for-tests.ts';
import { readInstalled } from './read-installed.ts';

const authorities = ['kubernetes', 'etcd', 'front-proxy'] as const;
const kubelet = {
  command: '/opt/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml',
};

/** cp1 with everything as units, its etcd without TLS. */
async function units(): Promise<FakeCluster> {
  const cluster = await FakeCluster.controlPlane();
  await cluster.addManager('kube-controller-manager');
  await cluster.addManager('kube-scheduler');
  return withNode(cluster);
}

/** cp1 as kubeadm makes it. */
async function pods(): Promise<FakeCluster> {
  const cluster = await FakeCluster.bareControlPlane();
  for (const component of ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const) {
    await cluster.addPod(component);
  }
  cluster.members = [{ id: 'a1', name: 'cp1', peerUrls: ['https://10.77.0.10:2380'], clientUrls: [] }];
  return withNode(cluster);
}

async function withNode(cluster: FakeCluster): Promise<FakeCluster> {
  await cluster.addKubelet(kubelet);
  await cluster.addProxy();
  await cluster.addAdmin();
  return cluster;
}

/** Names of the CAs that signed what a component has, by file. */
async function issuersIn({ node }: FakeCluster, component: Component): Promise<Record<string, string>> {
  const [folder] = await readInstalled(node.layout, [component]);
  const names = folder?.certificates.map(({ file, pem }) => [file, parseCertificate(pem).issuer.replace('CN=', '')]);
  return Object.fromEntries(names ?? []);
}

/** Names of the roots in each bundle of a component. */
async function rootsIn({ node }: FakeCluster, component: Component): Promise<Record<string, string[]>> {
  const [folder] = await readInstalled(node.layout, [component]);
  const names = folder?.bundles.map(({ file, pem }) => [
    file,
    parseCertificates(pem).map(({ subject }) => subject.replace('CN=', '')),
  ]);
  return Object.fromEntries(names ?? []);
}

async function assertAllFrom(cluster: FakeCluster, prefix: 'new ' | ''): Promise<void> {
  for (const component of components.all) {
    for (const issuer of Object.values(await issuersIn(cluster, component))) {
      assert.equal(issuer.startsWith('new '), prefix !== '', `${component} has a certificate of ${issuer}`);
    }
  }
}

for (const [layout, make, hasEtcd] of [
  ['units', units, false],
  ['static pods', pods, true],
] as const) {
  describe(`the change from CAs of others, with ${layout}`, () => {
    it('goes through trust, reissue and drop, each planned once', () =>
      on(make(), async (cluster) => {
        for (const authority of authorities) await cluster.beginRotation(authority, true);
        const trust = await applyAll(cluster);
        const all = components.all.filter((component) => component !== 'etcd' || hasEtcd);
        assert.deepEqual(groupsOf(trust).flat(), all);
        for (const component of all) {
          const change = changeOf(trust, component);
          assert.equal(change.target, 'trusting', component);
          assert.deepEqual(
            slotsOf(change).filter((file) => !/^(probe|healthcheck)-client$/.test(file)),
            [],
            component,
          );
          for (const roots of Object.values(await rootsIn(cluster, component))) {
            assert.match(roots.join(), /^new (\S+),\1$/, component);
          }
        }
        await assertAllFrom(cluster, 'new ');

        for (const authority of authorities) cluster.setPhase(authority, 'reissue');
        const reissue = await applyAll(cluster);
        assert.deepEqual(groupsOf(reissue).flat(), components.all);
        for (const component of components.all) assert.equal(changeOf(reissue, component).target, 'enforced');
        assert.ok(slotsOf(changeOf(reissue, 'kube-apiserver')).includes('etcd-client'));
        await assertAllFrom(cluster, 'new ');

        for (const authority of authorities) cluster.setPhase(authority, 'drop');
        const drop = await applyAll(cluster);
        assert.deepEqual(groupsOf(drop).flat(), components.all);
        for (const component of components.all) {
          for (const roots of Object.values(await rootsIn(cluster, component))) {
            assert.match(roots.join(), /^new \S+$/, component);
          }
        }
        for (const authority of authorities) cluster.setPhase(authority, 'settled');
        await assertDone(cluster);
      }));
  });

  describe(`the change of CAs of ours, with ${layout}`, () => {
    it('keeps leaves of the old CA in trust, and has probes of the new one', () =>
      on(make(), async (cluster) => {
        await applyAll(cluster);
        await assertAllFrom(cluster, '');
        await cluster.beginRotation('kubernetes', false);
        const trust = await applyAll(cluster);
        assert.deepEqual(
          groupsOf(trust),
          components.all.filter((name) => name !== 'etcd').map((name) => [name]),
        );
        assert.equal(changeOf(trust, 'kubelet').target, 'enforced');
        assert.deepEqual(await issuersIn(cluster, 'kubelet'), {
          client: 'kubernetes',
          'probe-client': 'new kubernetes',
          serving: 'kubernetes',
        });
        assert.deepEqual((await rootsIn(cluster, 'kubelet'))['client-ca.crt'], ['new kubernetes', 'kubernetes']);

        cluster.setPhase('kubernetes', 'reissue');
        const reissue = await applyAll(cluster);
        assert.match(changeOf(reissue, 'kubelet').slots[0]?.reason ?? '', /^issuer changed: CN=kubernetes/);
        assert.equal((await issuersIn(cluster, 'kubelet')).serving, 'new kubernetes');
        assert.equal((await issuersIn(cluster, 'kube-apiserver'))['etcd-client'], 'etcd', 'another authority');

        cluster.setPhase('kubernetes', 'drop');
        await applyAll(cluster);
        assert.deepEqual((await rootsIn(cluster, 'kubelet'))['client-ca.crt'], ['new kubernetes']);
        cluster.setPhase('kubernetes', 'settled');
        await assertDone(cluster);
      }));
  });
}

describe('the phase trust of a CA of others', () => {
  const trusting = (
    test: (cluster: FakeCluster) => Promise<void>,
    parts = [...authorities] as readonly (typeof authorities)[number][],
  ) =>
    on(units(), async (cluster) => {
      for (const authority of parts) await cluster.beginRotation(authority, true);
      await test(cluster);
    });

  it('leaves the kubelet its own certificates and their rotation', () =>
    trusting(async (cluster) => {
      const texts = textsOf(changeOf(await cluster.plan(), 'kubelet'));
      assert.equal(texts['config.yaml'], kubeletConfig.replace('/etc/kubernetes/pki/ca.crt', 'client-ca.crt'));
      const { users, clusters } = parse(texts['kubelet.conf'] ?? '');
      assert.equal(clusters[0].cluster['certificate-authority'], 'apiserver-ca.crt');
      assert.deepEqual(Object.keys(users[0].user), ['client-certificate-data', 'client-key-data']);
    }));

  it('moves only the roots of an API server', () =>
    trusting(async (cluster) => {
      const flags = flagsOf(textsOf(changeOf(await cluster.plan(), 'kube-apiserver'))['50-kube-mtls.conf'] ?? '');
      assert.equal(flags['client-ca-file'], 'client-ca.crt');
      assert.equal(flags['requestheader-client-ca-file'], 'front-proxy-ca.crt');
      assert.equal(flags['tls-cert-file'], '/etc/kubernetes/pki/apiserver.crt');
      assert.equal(flags['kubelet-client-certificate'], '/etc/kubernetes/pki/apiserver-kubelet-client.crt');
      assert.equal(flags['proxy-client-cert-file'], '/etc/kubernetes/pki/front-proxy-client.crt');
      assert.deepEqual([flags['etcd-servers'], flags['etcd-cafile']], ['http://127.0.0.1:2379', undefined]);
    }));

  it('of etcd alone lets the others of an API server be issued', () =>
    on(pods(), async (cluster) => {
      await cluster.beginRotation('etcd', true);
      const change = changeOf(await cluster.plan(), 'kube-apiserver');
      assert.equal(change.target, 'enforced');
      assert.deepEqual(slotsOf(change), ['serving', 'kubelet-client', 'front-proxy-client', 'probe-client']);
      const flags = flagsOf(change.files[0]?.after.text ?? '');
      assert.match(flags['etcd-cafile'] ?? '', /current\/etcd-ca\.crt$/);
      assert.equal(flags['etcd-certfile'], '/etc/kubernetes/pki/apiserver-etcd-client.crt');
    }));

  it('of front proxies alone leaves their certificate', () =>
    trusting(
      async (cluster) => {
        const change = changeOf(await cluster.plan(), 'kube-apiserver');
        assert.deepEqual([change.target, slotsOf(change).includes('front-proxy-client')], ['enforced', false]);
      },
      ['front-proxy'],
    ));

  it('makes an API server trust the new root for kubelets that it verifies', () =>
    on(FakeCluster.bareControlPlane(), async (cluster) => {
      const command = '/opt/bin/kube-apiserver --etcd-servers=http://192.0.2.1:2379';
      await cluster.addApiserver(`${command} --kubelet-certificate-authority=/etc/kubernetes/pki/ca.crt`);
      const flag = async () =>
        flagsOf(textsOf(changeOf(await cluster.plan(), 'kube-apiserver'))['50-kube-mtls.conf'] ?? '')[
          'kubelet-certificate-authority'
        ];
      assert.equal(await flag(), '/etc/kubernetes/pki/ca.crt');
      await cluster.beginRotation('kubernetes', true);
      assert.equal(await flag(), 'kubelet-ca.crt');
      await applyAll(cluster);
    }));

  it('is held up where a leaf of ours would be lost', () =>
    on(FakeCluster.worker(), async (cluster) => {
      await applyAll(cluster);
      await cluster.beginRotation('kubernetes', true);
      const { changes, problems } = await cluster.plan();
      assert.deepEqual(changes, []);
      assert.match(problems[0]?.message ?? '', /^serving\.crt is installed, and the kubernetes CA signs nothing but/);
    }));
});

describe('the phase drop', () => {
  it('lets the retired root go and no other', () =>
    on(FakeCluster.worker(), async (cluster) => {
      await cluster.beginRotation('kubernetes', true);
      await applyAll(cluster);
      cluster.setPhase('kubernetes', 'reissue');
      await applyAll(cluster);
      cluster.setPhase('kubernetes', 'drop');
      const path = '/etc/kube-mtls/pki/kubelet/current/client-ca.crt';
      await cluster.node.write(path, (await cluster.read(path)) + cluster.rootPem('etcd'));
      const { changes, problems } = await cluster.plan();
      assert.deepEqual(changes, []);
      assert.match(problems[0]?.message ?? '', /trusts CN=etcd \(sha256:[0-9a-f]+\), which is no root/);
    }));
});
