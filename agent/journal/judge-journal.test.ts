import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { components } from '../../common/names/names.ts';
import { HEAD, judge, SERVING } from './judge-for-tests.ts';

const rejected = (from: string, error: string) =>
  `rejected connection from "${from}" (error "${error}", ServerName "")`;
const UNKNOWN = 'tls: failed to verify client certificate: x509: certificate signed by unknown authority';

describe('judgeJournal', () => {
  it('counts nothing that the old process or systemd said of it, its sign of success neither', () => {
    const old: [string, string][] = [
      ['old', SERVING.etcd],
      ['old', 'tls: private key does not match public key'],
      ['old', 'systemd:etcd.service: Main process exited, code=killed, status=9/KILL'],
      ['old', "systemd:etcd.service: Failed with result 'signal'."],
    ];
    const start: [string, string] = ['new', 'systemd:Starting etcd.service - etcd...'];
    assert.equal(judge('etcd', [...old, start, ['new', SERVING.etcd]]).result, 'passed');
    const silent = judge('etcd', [...old, start]);
    assert.equal(silent.result, 'inconclusive');
    assert.equal(silent.summary, 'not confirmed by its log: 1 line, none known');
  });

  it('gives the old process the lines that it still wrote after the new one started', () => {
    const lines: [string, string][] = [
      ['old', 'received terminated signal, shutting down...'],
      ['new', 'systemd:Starting etcd.service - etcd...'],
      ['old', 'open /gone: no such file or directory'],
      ['new', SERVING.etcd],
    ];
    assert.equal(judge('etcd', lines).result, 'passed');
  });

  it('does not take an old process for the new one that has said nothing', () => {
    const { result, summary } = judge('etcd', [['old', SERVING.etcd]]);
    assert.deepEqual([result, summary], ['inconclusive', 'not confirmed by its log: nothing was written to it']);
  });

  it('counts every attempt of a crash loop, also lines whose invocation the journal did not know', () => {
    const outcome = judge('etcd', [
      ['a', 'systemd:Starting etcd.service - etcd...'],
      ['', 'open /etc/etcd/key: permission denied'],
      ['a', "systemd:etcd.service: Failed with result 'exit-code'."],
      ['b', 'systemd:Starting etcd.service - etcd...'],
      ['', 'open /etc/etcd/key: permission denied'],
      ['b', "systemd:etcd.service: Failed with result 'exit-code'."],
    ]);
    assert.equal(outcome.result, 'failed');
    assert.match(outcome.summary, /unreadable-file: .*\/etc\/etcd\/key/);
    assert.deepEqual(
      outcome.evidence.map(({ line, cause }) => [line, cause]),
      [
        ['open /etc/etcd/key: permission denied', 'unreadable-file'],
        ["etcd.service: Failed with result 'exit-code'.", 'start-failed'],
      ],
    );
  });

  it('lets a kubelet rotate its certificate itself as long as its leaves are not ours', () => {
    const lines: [string, string][] = [
      ['new', 'I1124 15:33:27.220846     300 server.go:837] Client rotation is on, will bootstrap in background'],
      ['new', SERVING.kubelet],
    ];
    assert.equal(judge('kubelet', lines, { target: 'trusting' }).result, 'passed');
    const { result, summary } = judge('kubelet', lines, { target: 'enforced' });
    assert.equal(result, 'failed');
    assert.match(summary, /conflicting-setting/);
  });

  it('fails a process that ended after it served', () => {
    const outcome = judge('kubelet', [
      ['new', 'systemd:Started kubelet.service.'],
      ['new', SERVING.kubelet],
      ['new', 'systemd:kubelet.service: Main process exited, code=exited, status=255/EXCEPTION'],
    ]);
    assert.equal(outcome.result, 'failed');
  });

  for (const component of components.all.filter((each) => each !== 'admin')) {
    it(`passes ${component} with its sign of success as evidence, and not without it`, () => {
      const outcome = judge(component, [['new', SERVING[component]]]);
      assert.equal(outcome.result, 'passed');
      assert.deepEqual(outcome.evidence, [
        { source: 'journal x.service', line: SERVING[component], observedAtMs: 1_000_000, cause: '', rank: 'hint' },
      ]);
      assert.equal(judge(component, [['new', 'something else']]).result, 'inconclusive');
      assert.equal(judge(component, []).result, 'inconclusive');
    });
  }

  for (const from of ['127.0.0.1:40000', '[::1]:40000', '10.77.0.10:40000', '10.77.0.66:40000']) {
    for (const error of [
      UNKNOWN,
      'remote error: tls: bad certificate',
      'x509: certificate specifies an incompatible key usage',
    ]) {
      it(`is passed for an etcd that writes "${error}" of ${from}, with it as a hint`, () => {
        const outcome = judge('etcd', [
          ['new', SERVING.etcd],
          ['new', rejected(from, error)],
        ]);
        assert.equal(outcome.result, 'passed');
        const [serving, hint] = outcome.evidence;
        assert.deepEqual([serving?.cause, serving?.line], ['', SERVING.etcd]);
        assert.deepEqual([hint?.cause !== '', hint?.rank, hint?.line], [true, 'hint', rejected(from, error)]);
      });
    }
  }

  it('fails an etcd that cannot read its own file when somebody calls: no caller makes that up', () => {
    const line = rejected('10.77.0.66:40000', 'open /etc/etcd/server.crt: no such file or directory');
    const outcome = judge('etcd', [
      ['new', SERVING.etcd],
      ['new', line],
    ]);
    assert.equal(outcome.result, 'failed');
    assert.match(outcome.summary, /missing-file/);
  });

  it('takes what our own probes cause for no hint', () => {
    const bare = judge('etcd', [
      ['new', SERVING.etcd],
      ['new', rejected('127.0.0.1:4', "tls: client didn't provide a certificate")],
    ]);
    assert.deepEqual([bare.result, bare.evidence.length], ['passed', 1]);
    const ofAnotherCa = `${HEAD}Unable to authenticate the request due to an error: x509: certificate signed by unknown authority`;
    const foreign = judge('kube-apiserver', [
      ['new', SERVING['kube-apiserver']],
      ['new', ofAnotherCa],
    ]);
    assert.deepEqual([foreign.result, foreign.evidence.length], ['passed', 1]);
  });

  it('shows at most three hints, the newest of each cause, and none for what callers do that is no failure', () => {
    const errors = [
      UNKNOWN,
      'remote error: tls: bad certificate',
      'EOF',
      'tls: first record does not look like a TLS handshake',
    ];
    const many = Array.from({ length: 50 }, (_, at): [string, string] => [
      'new',
      rejected(`10.77.0.66:${at}`, errors[at % errors.length] ?? ''),
    ]);
    const { result, evidence } = judge('etcd', [['new', SERVING.etcd], ...many]);
    assert.equal(result, 'passed');
    assert.deepEqual(
      evidence.map(({ line, cause }) => [/10\.77\.0\.66:\d+/.exec(line)?.[0] ?? '', cause]),
      [
        ['', ''],
        ['10.77.0.66:48', 'unknown-authority'],
        ['10.77.0.66:49', 'refused-by-peer'],
      ],
    );
  });

  it('is inconclusive, with its hints, for a log in which only callers are known', () => {
    const { result, summary, evidence } = judge('etcd', [
      ['new', 'a wrapper says hello'],
      ['new', rejected('10.77.0.66:1', UNKNOWN)],
    ]);
    assert.equal(result, 'inconclusive');
    assert.equal(summary, 'not confirmed by its log: 2 lines, none of which says that it serves');
    assert.equal(evidence.at(-1)?.cause, 'unknown-authority');
  });

  for (const component of components.all.filter((each) => each !== 'admin' && each !== 'etcd')) {
    it(`reads ${component} through a prefix in front of each line`, () => {
      assert.equal(judge(component, [['new', `kube: ${SERVING[component]}`]]).result, 'passed');
    });
  }

  it('takes plaintext for wanted in an etcd that is only prepared, and for a failure in one that shall enforce', () => {
    const lines: [string, string][] = [
      ['new', 'ClientTLS: cert = /a, key = /b, trusted-ca = /c, client-cert-auth = false, crl-file = '],
      ['new', 'The scheme of client url http://127.0.0.1:2379 is HTTP while key/cert files are presented. Ignored.'],
      ['new', 'serving insecure client requests on 127.0.0.1:2379, this is strongly discouraged!'],
    ];
    assert.equal(judge('etcd', lines, { target: 'prepared' }).result, 'passed');
    const enforced = judge('etcd', [...lines, ['new', SERVING.etcd]]);
    assert.equal(enforced.result, 'failed');
    assert.match(enforced.summary, /insecure-listener/);
    const mismatch: [string, string] = ['new', 'tls: private key does not match public key'];
    assert.equal(judge('etcd', [...lines, mismatch], { target: 'prepared' }).result, 'failed');
  });

  const unregistered = (error: string) => `${HEAD}"Unable to register node with API server" err="${error}" node="w1"`;
  const registered = `${HEAD}"Successfully registered node" node="w1"`;
  const refused =
    'Post \\"https://10.77.0.10:6443/api/v1/nodes\\": dial tcp 10.77.0.10:6443: connect: connection refused';
  const distrusted = 'Post \\"https://10.77.0.10:6443/api/v1/nodes\\": x509: certificate signed by unknown authority';
  for (const [what, lines, result] of [
    ['a refused connection', [unregistered(refused)], 'passed'],
    ['an API server that it cannot verify', [unregistered(distrusted)], 'failed'],
    ['a 401', [unregistered('Unauthorized')], 'failed'],
    ['a 401 until it registered', [unregistered('Unauthorized'), registered], 'passed'],
    ['a 401 after it registered', [registered, unregistered('Unauthorized')], 'failed'],
    [
      'a caller whose certificate it does not know',
      [`${HEAD}Unable to authenticate the request due to an error: x509: certificate signed by unknown authority`],
      'passed',
    ],
    [
      'a stranger that distrusts it',
      [`${HEAD}http: TLS handshake error from 10.77.0.66:5: remote error: tls: bad certificate`],
      'passed',
    ],
    [
      'an API server that distrusts it, which its proofs and that of the API server tell',
      [`${HEAD}http: TLS handshake error from 10.77.0.12:5: remote error: tls: bad certificate`],
      'passed',
    ],
  ] as const) {
    it(`is ${result} for a kubelet with ${what}`, () => {
      const all = [SERVING.kubelet, ...lines].map((line): [string, string] => ['new', line]);
      assert.equal(judge('kubelet', all).result, result);
    });
  }

  const dial = (error: string) =>
    `${HEAD}grpc: addrConn.createTransport failed to connect to {https://127.0.0.1:2379  <nil> 0 <nil>}. Err :connection error: desc = "transport: ${error}". Reconnecting...`;
  const mismatch = `${HEAD}key failed with : tls: private key does not match public key`;
  const loaded = `${HEAD}Loaded a new cert/key pair for "serving-cert::/a.crt::/a.key"`;
  const bundle = `${HEAD}Loaded a new CA Bundle and Verifier for "client-ca-bundle::/ca.crt"`;
  const eof = dial('authentication handshake failed: EOF');
  const badEtcd = dial('authentication handshake failed: x509: certificate signed by unknown authority');
  const serving = SERVING['kube-apiserver'];
  for (const [what, lines, result, summary] of [
    [
      'an etcd that ends the handshake, and never serves',
      [eof],
      'failed',
      /conflicting-setting: the server 127\.0\.0\.1:2379/,
    ],
    ['an etcd that ended the handshake while it restarted', [eof, serving, eof], 'passed', /serves/],
    ['an etcd that it could not verify until it served', [badEtcd, serving], 'passed', /serves/],
    ['an etcd that it cannot verify', [serving, badEtcd], 'failed', /unknown-authority: the server/],
    ['a pair that was no pair between two steps', [serving, mismatch, loaded], 'passed', /serves/],
    ['a pair that is no pair, whatever else was loaded', [serving, loaded, mismatch, bundle], 'failed', /key-mismatch/],
    [
      "another node's kubelet that it cannot verify",
      [serving, `${HEAD}error dialing backend: x509: certificate signed by unknown authority`],
      'passed',
      /serves/,
    ],
    [
      'a kubelet without certificate',
      [serving, `${HEAD}error dialing backend: remote error: tls: internal error`],
      'passed',
      /serves/,
    ],
  ] as const) {
    it(`is ${result} for an API server with ${what}`, () => {
      const outcome = judge(
        'kube-apiserver',
        lines.map((line): [string, string] => ['new', line]),
      );
      assert.equal(outcome.result, result);
      assert.match(outcome.summary, summary);
    });
  }

  it('shows at most eight lines of at most 1000 characters, the reasons before the consequences', () => {
    const many = Array.from({ length: 30 }, (_, index): [string, string] => [
      'new',
      `open /etc/etcd/${String.fromCharCode(97 + index)}${'x'.repeat(2000)}: no such file or directory`,
    ]);
    const outcome = judge('etcd', [['new', "systemd:etcd.service: Failed with result 'exit-code'."], ...many]);
    assert.equal(outcome.evidence.length, 8);
    assert.ok(outcome.evidence.every(({ line, cause }) => line.length === 1000 && cause === 'missing-file'));
  });
});
