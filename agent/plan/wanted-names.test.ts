import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomOf, type SeededRandom } from '../../common/random/random-for-tests.ts';
import { createCsr, parseCsr } from '../../common/x509/csr.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { detectedApiserver, detectedKubelet } from '../verify/detected-for-tests.ts';
import { FakeCluster } from './fake-cluster.ts';
import { etcdUnit } from './fake-parts.ts';
import { issuable } from './issuable.ts';
import { on } from './plan-for-tests.ts';
import { apiserverNames, kubeletNames } from './wanted-names.ts';

const oddNames = [
  ...[
    'LB.Example.com',
    'lb.example.com',
    'lb.example.com.',
    '*.example.com',
    'a.*.example.com',
    '*',
    'under_score.example',
  ],
  ...[
    'xn--bcher-kva.example',
    'bücher.example',
    '-a.example',
    'a-.example',
    `${'a'.repeat(63)}.example`,
    `${'a'.repeat(64)}.example`,
  ],
  ...[
    'a..b',
    '.',
    '',
    'a b',
    '1.2.3',
    '010.0.0.1',
    `${'a.'.repeat(126)}a`,
    `${'a.'.repeat(127)}a`,
    'a:6443',
    'https://a',
  ],
];
const oddAddresses = [
  ...[
    '192.0.2.9',
    '::ffff:192.0.2.9',
    '::FFFF:c000:209',
    'fe80::1%eth0',
    '2001:DB8::1',
    '2001:db8:0:0:0:0:0:1',
    '::1',
    '::',
  ],
  ...['0.0.0.0', '::192.0.2.9', '192.0.2.0/24', '[2001:db8::2]', ''],
];

/** Up to four of them, with repetitions. */
function pick(random: SeededRandom, from: readonly string[]): string[] {
  return Array.from({ length: random.integer(5) }, () => from[random.integer(from.length)] ?? '');
}

describe('the names of a serving certificate', () => {
  it('have no dot at the end, whichever way the one that is served writes them', () =>
    on(FakeCluster.worker(), async ({ settings }) => {
      const served = { dnsNames: ['Kubernetes.default.svc.cluster.local.', 'lb.example.com.'], ipAddresses: [] };
      const { dnsNames } = apiserverNames(detectedApiserver({}), settings, served);
      assert.ok(dnsNames.includes('lb.example.com'));
      assert.equal(dnsNames.filter((name) => name.startsWith('kubernetes.default.svc.cluster')).length, 1);
      assert.deepEqual(
        dnsNames.filter((name) => name.endsWith('.')),
        [],
      );
    }));

  it('of a kubelet are those of its node; the others that it has now are told', () =>
    on(FakeCluster.worker(), async (cluster) => {
      const { settings } = await cluster.input();
      const served = { dnsNames: ['W1.', 'K8s foo bar'], ipAddresses: ['127.0.0.1', '203.0.113.7'] };
      assert.deepEqual(kubeletNames(detectedKubelet({}), settings, served), {
        dnsNames: ['w1'],
        ipAddresses: ['10.77.0.11', '127.0.0.1'],
        notHeld: ['203.0.113.7', 'k8s foo bar'],
      });
    }));

  it('hold an etcd up too, with the file that holds them', () =>
    on(
      FakeCluster.controlPlane({ etcd: { unit: `${etcdUnit}Environment=ETCD_CERT_FILE=/e.crt\n` } }),
      async (cluster) => {
        const names = Array.from({ length: 256 }, (_, at) => `n${at}.example`);
        await cluster.node.write('/e.crt', (await cluster.issue('etcd', names, [])).pem);
        const { problems } = await cluster.plan();
        const { message, path } = problems.find(({ component }) => component === 'etcd') ?? {};
        assert.match(
          message ?? '',
          /^server\.crt cannot be issued: .*at most 256 alternative names; replace the certificate/,
        );
        assert.equal(path, cluster.node.path('/e.crt'));
      },
    ));

  it('are no more and no longer than a request can have', () =>
    on(FakeCluster.worker(), async (cluster) => {
      const input = await cluster.input();
      const problemsWith = (count: number, length: number) => {
        const dnsNames = Array.from({ length: count }, (_, at) => `${at}.${'a'.repeat(50)}.`.padEnd(length - 1, 'b.'));
        const names = apiserverNames(detectedApiserver({}), input.settings, { dnsNames, ipAddresses: [] });
        const slot = { profile: 'kube-apiserver-serving', file: 'serving', ...names } as const;
        return issuable(detectedApiserver({}), [slot], input).problems.map(({ message }) => message);
      };
      assert.deepEqual(problemsWith(100, 60), []);
      assert.match(problemsWith(300, 60).join(), /^serving\.crt cannot be issued: .*at most 256/);
      assert.match(problemsWith(200, 240).join(), /^serving\.crt cannot be issued: the names take more than/);
    }));

  it('are read out of a request wherever the plan accepts them', async (test) => {
    const key = await generateKey('ecdsa-p256');
    const random = randomOf(test);
    await on(FakeCluster.worker(), async (cluster) => {
      const input = await cluster.input();
      let accepted = 0;
      for (let round = 0; round < 300; round++) {
        const served = { dnsNames: pick(random, oddNames), ipAddresses: pick(random, oddAddresses) };
        const flags = { 'bind-address': pick(random, oddAddresses)[0] ?? '' };
        const names = apiserverNames(detectedApiserver(flags), input.settings, served);
        const slot = { profile: 'kube-apiserver-serving', file: 'serving', ...names } as const;
        if (issuable(detectedApiserver({}), [slot], input).problems.length > 0) continue;
        accepted++;
        const csr = parseCsr(Buffer.from(createCsr(key, { commonName: 'x', ...names })));
        assert.deepEqual([csr.dnsNames, csr.ipAddresses], [names.dnsNames, names.ipAddresses], JSON.stringify(served));
      }
      assert.ok(accepted > 20 && accepted < 280, `${accepted} of 300 accepted`);
    });
  });
});
