import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCsr } from '../../common/x509/csr.ts';
import type { KeyAlgorithm } from '../../common/x509/keys.ts';
import type { KeyChoice } from '../keys/choose-algorithm.ts';
import { makeKeys } from '../keys/make-keys.ts';
import { FakeCluster } from './fake-cluster.ts';
import { apiserverCommand, etcdUnit, kubeletCommand, kubeletConfig, pki } from './fake-parts.ts';
import { applyAll, changeOf, on } from './plan-for-tests.ts';
import { renderPlan } from './render-diff.ts';

const rsa = 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384';
const ecdsa = 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256';
const unknown = 'TLS_SM2_WITH_SM4_GCM_SM3';

/** An API server with further flags. */
function apiserver(flags: string, test: (cluster: FakeCluster) => Promise<void>): Promise<void> {
  return on(FakeCluster.controlPlane({ apiserver: `${apiserverCommand} ${flags}` }), test);
}

/** Of the API server's serving certificate. */
async function planned(cluster: FakeCluster, component: 'kube-apiserver' | 'kubelet' | 'etcd' = 'kube-apiserver') {
  const { problems, changes } = await cluster.plan();
  const slots = changes.flatMap(({ components }) => components).find((each) => each.component === component)?.slots;
  const keys = slots?.flatMap(({ file, key }) => (key === undefined ? [] : `${file} ${key.kind}`));
  return { keys, problems: problems.map(({ message }) => message).filter((message) => /suite/i.test(message)) };
}

describe('fitKeys', () => {
  const demands: [what: string, flags: string, keys: string[]][] = [
    ['no suites', '', []],
    ['suites for RSA keys alone', `--tls-cipher-suites=${rsa}`, ['serving RSA']],
    ['suites in the next word', `--tls-cipher-suites ${rsa}`, ['serving RSA']],
    ['an underscored flag', `--tls_cipher_suites=${rsa}`, ['serving RSA']],
    ['quoted CSV', `'--tls-cipher-suites="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"'`, ['serving RSA']],
    ['lists that a repeated flag continues', `--tls-cipher-suites=${rsa} --tls-cipher-suites=${ecdsa}`, []],
    ['an old spelling', '--tls-cipher-suites=TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305', ['serving RSA']],
    ['a spelling of today', '--tls-cipher-suites=TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', ['serving RSA']],
    ['insecure ones for RSA keys', '--tls-cipher-suites=TLS_RSA_WITH_RC4_128_SHA', ['serving RSA']],
    ['those of TLS 1.3 beside them', `--tls-cipher-suites=TLS_AES_128_GCM_SHA256,${rsa}`, ['serving RSA']],
    [
      'none for ECDSA keys that HTTP/2 allows',
      `--tls-cipher-suites=${rsa},TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA`,
      ['serving RSA'],
    ],
    ['an unknown one beside known ones', `--tls-cipher-suites=${unknown},${rsa}`, ['serving RSA']],
    ['suites for ECDSA keys alone', `--tls-cipher-suites=${ecdsa}`, ['serving ECDSA']],
    ['suites for both', `--tls-cipher-suites=${ecdsa},${rsa}`, []],
    ['TLS 1.3 alone', `--tls-cipher-suites=${rsa} --tls-min-version=VersionTLS13`, []],
    ['suites of TLS 1.3 alone', '--tls-cipher-suites=TLS_AES_128_GCM_SHA256', []],
    ['an unknown one alone: as the one that is served', `--tls-cipher-suites=${unknown}`, ['serving ECDSA']],
  ];
  for (const [what, flags, keys] of demands) {
    it(`demands ${keys[0] ?? 'nothing'} of an API server with ${what}`, () =>
      apiserver(flags, async (cluster) => assert.deepEqual(await planned(cluster), { keys, problems: [] })));
  }

  const chosen: [algorithm: KeyAlgorithm, suites: string, problem: RegExp | undefined][] = [
    ['ecdsa-p384', rsa, /^--tls-cipher-suites has no suite for ECDSA keys.*agent\.yaml.*rsa-2048/],
    ['rsa-3072', ecdsa, /^--tls-cipher-suites has no suite for RSA keys.*agent\.yaml.*ecdsa-p256/],
    ['rsa-3072', unknown, /^--tls-cipher-suites has no suite for RSA keys/],
    ['rsa-3072', rsa, undefined],
    ['ecdsa-p384', ecdsa, undefined],
    ['rsa-2048', `${ecdsa},${rsa}`, undefined],
  ];
  for (const [algorithm, suites, problem] of chosen) {
    it(`${problem === undefined ? 'takes' : 'holds up'} ${algorithm} of agent.yaml with ${suites}`, () =>
      apiserver(`--tls-cipher-suites=${suites}`, async (cluster) => {
        cluster.keyAlgorithm = algorithm;
        const { problems } = await planned(cluster);
        assert.match(problems.join(), problem ?? /^$/);
      }));
  }

  it('holds one up whose suites are all unknown and whose certificate cannot be read', () =>
    apiserver(`--tls-cipher-suites=${unknown}`, async (cluster) => {
      await cluster.node.write(`${pki}/apiserver.crt`, 'garbage');
      assert.match(
        (await planned(cluster)).problems.join(),
        /cannot be told whether --tls-cipher-suites fits .*TLS_SM2/,
      );
    }));

  it('says so in the plan, and again when the suites come after the certificate', () =>
    apiserver('', async (cluster) => {
      await applyAll(cluster);
      await cluster.addApiserver(`${apiserverCommand} --tls-cipher-suites=${rsa}`);
      const plan = await cluster.plan();
      const why = 'key is no RSA key: --tls-cipher-suites has no suite for ECDSA keys';
      assert.ok(changeOf(plan, 'kube-apiserver').summary.includes(`serving: ${why}`));
      assert.match(
        renderPlan(plan),
        /serving\.crt: kube-apiserver-serving for .*, with an RSA key \(--tls-cipher-suites has no suite for ECDSA keys\); key is no/,
      );
      await applyAll(cluster);
    }));

  it('reads them of a kubelet from its configuration, which a flag overrides', async () => {
    const config = `${kubeletConfig}tlsCipherSuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n`;
    const cases: [config: string, flags: string, keys: string[]][] = [
      [config, '', ['serving RSA']],
      [`${config}tlsMinVersion: VersionTLS13\n`, '', []],
      [config, ` --tls-cipher-suites=${ecdsa}`, ['serving ECDSA']],
    ];
    for (const [text, flags, keys] of cases) {
      await on(FakeCluster.worker({ kubelet: { command: kubeletCommand + flags, config: text } }), async (cluster) =>
        assert.deepEqual(await planned(cluster, 'kubelet'), { keys, problems: [] }),
      );
    }
  });

  it('refuses a configuration whose suites are no list of texts, with the line', () =>
    on(FakeCluster.worker({ kubelet: { config: `${kubeletConfig}tlsCipherSuites: {}\n` } }), async (cluster) => {
      const [problem] = (await cluster.plan()).problems;
      assert.deepEqual([problem?.message, problem?.line !== undefined], ['tlsCipherSuites is no list of texts', true]);
    }));

  const managers = ['kube-controller-manager', 'kube-scheduler'] as const;
  for (const component of managers) {
    it(`reads them of a ${component}`, () =>
      on(FakeCluster.bareControlPlane(), async (cluster) => {
        await cluster.addManager(component, ` --tls-cipher-suites=${rsa}`);
        const { slots } = changeOf(await cluster.plan(), component);
        assert.deepEqual(slots.map(({ file, key }) => [file, key?.kind]).slice(0, 2), [
          ['serving', 'RSA'],
          ['client', undefined],
        ]);
      }));
  }

  const etcds: [what: string, unit: string, keys: string[]][] = [
    ['a flag', etcdUnit.replace('$DAEMON_ARGS\n', `--cipher-suites=${rsa}\n`), ['server RSA', 'peer RSA']],
    ['a variable', `${etcdUnit}Environment=ETCD_CIPHER_SUITES=${rsa}\n`, ['server RSA', 'peer RSA']],
    [
      'a variable, with TLS 1.3 alone',
      `${etcdUnit}Environment=ETCD_CIPHER_SUITES=${rsa} ETCD_TLS_MIN_VERSION=TLS1.3\n`,
      [],
    ],
  ];
  for (const [what, unit, keys] of etcds) {
    it(`reads them of etcd from ${what}`, () =>
      on(FakeCluster.controlPlane({ etcd: { unit } }), async (cluster) =>
        assert.deepEqual(await planned(cluster, 'etcd'), { keys, problems: [] }),
      ));
  }
});

describe('a key that suites demand', () => {
  it('is made, of the size that agent.yaml names where it names RSA, and is one that requests may have', () =>
    apiserver(`--tls-cipher-suites=${rsa}`, async (cluster) => {
      const [change] = (await cluster.plan()).changes;
      assert.ok(change);
      const sizes = async (algorithm: KeyChoice) =>
        (await makeKeys(change, algorithm)).keys
          .filter(({ component }) => component === 'kube-apiserver')
          .map(({ slot, csrPem }) => {
            const { publicKey } = parseCsr(Buffer.from(csrPem));
            return `${slot.file} ${publicKey.asymmetricKeyDetails?.modulusLength ?? 'EC'}`;
          })
          .slice(0, 2);
      assert.deepEqual(await sizes('auto'), ['serving 2048', 'kubelet-client EC']);
      assert.deepEqual(await sizes('rsa-3072'), ['serving 3072', 'kubelet-client 3072']);
    }));
});
