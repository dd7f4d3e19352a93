import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeAuthority } from './fake-authorities.ts';
import { FakeCluster } from './fake-cluster.ts';
import { apiserverCommand } from './fake-parts.ts';
import { issueOdd } from './odd-certificate-for-tests.ts';
import { applyAll, assertDone, changeOf, on } from './plan-for-tests.ts';
import { renderPlan } from './render-diff.ts';

/** Two of the cluster's CA in both spellings, one of somebody else between them. */
const command = [
  apiserverCommand,
  '--tls-sni-cert-key=/sni/one.crt,/sni/one.key --tls-sni-cert-key=/sni/public.crt,/sni/public.key:www.example.com',
  '--tls-sni-cert-key "/sni/two.crt,/sni/two.key:*.two.example,two.example"',
].join(' ');

async function withSni(test: (cluster: FakeCluster) => Promise<void>): Promise<void> {
  await on(FakeCluster.controlPlane({ apiserver: command }), async (cluster) => {
    await cluster.node.write('/sni/one.crt', (await cluster.issue('kubernetes', ['one.example'], ['192.0.2.1'])).pem);
    await cluster.node.write('/sni/two.crt', (await cluster.issue('kubernetes', ['two.example'], [])).pem);
    await cluster.node.write(
      '/sni/public.crt',
      issueOdd(await makeAuthority('Public CA'), { names: ['DNS.1=www.example.com'] }),
    );
    await test(cluster);
  });
}

const textOf = (cluster: FakeCluster) => cluster.read('/etc/systemd/system/kube-apiserver.service.d/50-kube-mtls.conf');
const pairsIn = (text: string) => [...text.matchAll(/^ +"?--tls-sni-cert-key[= ]"?([^,]*)/gm)].map(([, path]) => path);

describe('certificates for server names', () => {
  for (const foreign of [true, false]) {
    it(`go when ${foreign ? 'a CA of others' : 'our CA'} is replaced, and the default certificate holds their names`, () =>
      withSni(async (cluster) => {
        if (!foreign) await applyAll(cluster);
        await cluster.beginRotation('kubernetes', foreign);
        await applyAll(cluster);
        assert.deepEqual(pairsIn(await textOf(cluster)), ['/sni/one.crt', '/sni/public.crt', '/sni/two.crt']);
        cluster.setPhase('kubernetes', 'reissue');
        const plan = await applyAll(cluster);
        const serving = changeOf(plan, 'kube-apiserver').slots.find(({ file }) => file === 'serving');
        assert.ok(serving?.dnsNames.includes('one.example') && serving.dnsNames.includes('two.example'));
        assert.ok(serving?.ipAddresses.includes('192.0.2.1') && !serving.dnsNames.includes('www.example.com'));
        assert.deepEqual(pairsIn(await textOf(cluster)), ['/sni/public.crt']);
        assert.match(
          renderPlan(plan),
          /note: --tls-sni-cert-key=\/sni\/public\.crt\S* stays: its certificate is of CN=Public CA, which is no CA of ours/,
        );
        for (const phase of ['drop', 'settled'] as const) {
          cluster.setPhase('kubernetes', phase);
          await cluster.apply(await cluster.plan());
          await assertDone(cluster);
          assert.deepEqual(pairsIn(await textOf(cluster)), ['/sni/public.crt'], phase);
        }
      }));
  }

  it('hold the component up while a CA is replaced and it cannot be told whose they are', () =>
    withSni(async (cluster) => {
      await cluster.node.write('/sni/one.crt', 'garbage');
      assert.deepEqual((await cluster.plan()).problems, []);
      await cluster.beginRotation('kubernetes', true);
      cluster.setPhase('kubernetes', 'reissue');
      assert.match(
        (await cluster.plan()).problems.find(({ component }) => component === 'kube-apiserver')?.message ?? '',
        /whether the certificate of --tls-sni-cert-key=\/sni\/one\.crt,\/sni\/one\.key .*\(holds no PEM certificate\)/,
      );
    }));

  it('go from a manager too, as far as they hold the names of the node alone', () =>
    on(FakeCluster.bareControlPlane(), async (cluster) => {
      await cluster.addManager('kube-scheduler', ' --tls-sni-cert-key=/sni/one.crt,/sni/one.key');
      const write = async (name: string) =>
        cluster.node.write('/sni/one.crt', (await cluster.issue('kubernetes', [name], [])).pem);
      await write('metrics.example');
      await cluster.beginRotation('kubernetes', true);
      cluster.setPhase('kubernetes', 'reissue');
      assert.match((await cluster.plan()).problems[0]?.message ?? '', /serves metrics\.example by a certificate of/);
      await write('cp1');
      const [file] = changeOf(await applyAll(cluster), 'kube-scheduler').files.filter(
        ({ path }) => path.endsWith('.conf') && path.includes('50-'),
      );
      assert.doesNotMatch(file?.after.text.replace(/^#.*$/gm, '') ?? '', /sni/);
    }));
});
