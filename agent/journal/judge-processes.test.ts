import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { entry, HEAD, judge, SERVING } from './judge-for-tests.ts';

const rejected = (from: string, error: string) =>
  `rejected connection from "${from}" (error "${error}", ServerName "")`;
const UNKNOWN = 'tls: failed to verify client certificate: x509: certificate signed by unknown authority';
const dial = (error: string) =>
  `${HEAD}grpc: addrConn.createTransport failed to connect to {https://127.0.0.1:2379  <nil> 0 <nil>}. Err :connection error: desc = "transport: ${error}". Reconnecting...`;
const mismatch = `${HEAD}key failed with : tls: private key does not match public key`;
const loaded = `${HEAD}Loaded a new cert/key pair for "serving-cert::/a.crt::/a.key"`;
const bundle = `${HEAD}Loaded a new CA Bundle and Verifier for "client-ca-bundle::/ca.crt"`;
const eof = dial('authentication handshake failed: EOF');
const badEtcd = dial('authentication handshake failed: x509: certificate signed by unknown authority');

describe('judgeJournal', () => {
  const attempting = `${HEAD}attempting to acquire leader lease kube-system/kube-scheduler...`;
  const acquired = `${HEAD}"Successfully acquired lease" lock="kube-system/kube-scheduler"`;
  const lock = (error: string) =>
    `${HEAD}error retrieving resource lock kube-system/x: Get "https://10.77.0.10:6443/apis": ${error}`;
  const list = (error: string) =>
    `${HEAD}k8s.io/client-go/informers/factory.go:134: Failed to watch *v1.Service: failed to list *v1.Service: ${error}`;
  const scraped = `${HEAD}"Unable to authenticate the request" err="x509: certificate signed by unknown authority"`;
  const proxier = `${HEAD}"Using iptables Proxier"`;
  const unknown = 'x509: certificate signed by unknown authority';
  for (const [component, what, lines, result] of [
    ['kube-scheduler', 'waits for its turn', [attempting], 'passed'],
    ['kube-scheduler', 'leads', [acquired], 'passed'],
    [
      'kube-scheduler',
      'cannot verify the API server',
      [SERVING['kube-scheduler'], attempting, lock(unknown)],
      'failed',
    ],
    ['kube-scheduler', 'could not until it led', [SERVING['kube-scheduler'], lock(unknown), acquired], 'passed'],
    ['kube-scheduler', 'is refused', [SERVING['kube-scheduler'], lock('Unauthorized')], 'failed'],
    [
      'kube-controller-manager',
      'waits for an API server that restarts',
      [attempting, lock('dial tcp 10.77.0.10:6443: connect: connection refused')],
      'passed',
    ],
    ['kube-controller-manager', 'is scraped by a stranger', [SERVING['kube-controller-manager'], scraped], 'passed'],
    ['kube-controller-manager', 'is silent', [`${HEAD}Version: v1.20.2`], 'inconclusive'],
    ['kube-proxy', 'has begun', [proxier], 'passed'],
    ['kube-proxy', 'is refused', [proxier, list('Unauthorized')], 'failed'],
    ['kube-proxy', 'was refused at first', [proxier, list('Unauthorized'), SERVING['kube-proxy']], 'passed'],
    ['kube-proxy', 'is silent', [`${HEAD}Version: v1.20.2`], 'inconclusive'],
  ] as const) {
    it(`is ${result} for a ${component} that ${what}`, () => {
      const all = lines.map((line): [string, string] => ['new', line]);
      assert.equal(judge(component, all).result, result);
    });
  }

  it('skips what nothing runs', () => assert.equal(judge('admin', []).result, 'skipped'));

  it("takes the log of a container whole: its lines know no process, and are called 'log'", () => {
    const lines = [SERVING.etcd, mismatch].map((line) => ({ ...entry('', line), cursor: '', unit: 'etcd-cp1' }));
    const passed = judge('etcd', [], { entries: lines.slice(0, 1), invocationId: 'containerd://1', unit: 'etcd-cp1' });
    assert.deepEqual([passed.result, passed.evidence[0]?.source], ['passed', 'log etcd-cp1']);
  });

  for (const [what, component, lines, result] of [
    ['says nothing', 'kube-apiserver', [], 'passed'],
    ['loaded the files', 'kube-apiserver', [loaded, bundle], 'passed'],
    ['could not load a pair', 'kube-apiserver', [mismatch], 'failed'],
    ['could not load a pair after it had loaded one', 'kube-apiserver', [loaded, mismatch], 'failed'],
    ['could not load a pair at first', 'kube-apiserver', [mismatch, loaded], 'passed'],
    ['lost an etcd that restarts', 'kube-apiserver', [eof], 'passed'],
    ['cannot verify its etcd', 'kube-apiserver', [badEtcd], 'failed'],
    ['refuses its own node', 'etcd', [rejected('10.77.0.10:5', UNKNOWN)], 'passed'],
    ['refuses a stranger', 'etcd', [rejected('10.77.0.66:5', UNKNOWN)], 'passed'],
    ['ended', 'etcd', ["systemd:etcd.service: Failed with result 'exit-code'."], 'failed'],
    ['lost its client certificate', 'kube-proxy', [list('Unauthorized')], 'failed'],
  ] as const) {
    it(`is ${result} for a running ${component} that ${what} after new files`, () => {
      // of the same process as before, whichever invocation that is
      const all = lines.map((line): [string, string] => ['running', line]);
      assert.equal(judge(component, all, { live: true, invocationId: 'running' }).result, result);
    });
  }
});
