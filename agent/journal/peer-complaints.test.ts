import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import { oneClock } from '../../common/time/one-clock-for-tests.ts';
import { classify } from './classify.ts';
import { FindingLog, MOST_FINDINGS } from './finding-log.ts';
import { type ComplaintQuestion, complaintsAbout } from './peer-complaints.ts';

const HEAD = 'E1124 10:14:03.054501     163 file.go:53] ';

/** A log of lines, one a millisecond from 1000 on. */
function logOf(...lines: [Component, string][]): FindingLog {
  const log = new FindingLog(oneClock);
  for (const [index, [speaker, message]] of lines.entries()) {
    const finding = classify(speaker, { message, fromSystemd: false });
    assert.ok(finding, message);
    const rest = { identifier: speaker, pid: 1, invocationId: 'a', fromSystemd: false };
    log.add({
      speaker,
      finding,
      entry: { cursor: `${index}`, realtimeMs: 1000 + index, unit: `${speaker}.service`, message, ...rest },
    });
  }
  return log;
}

const lease = (host: string, error: string) =>
  `${HEAD}failed to update lease, error: Put "https://${host}/apis": ${error}`;
const rejected = (from: string, error: string) =>
  `rejected connection from "${from}" (error "${error}", ServerName "")`;
const dial = (host: string, error: string) =>
  `${HEAD}grpc: addrConn.createTransport failed to connect to {https://${host}  <nil> 0 <nil>}. Err :connection error: desc = "transport: authentication handshake failed: ${error}". Reconnecting...`;
const UNKNOWN = 'x509: certificate signed by unknown authority';

const API = { component: 'kube-apiserver', endpoints: ['10.77.0.10:6443', 'API.example'] } as const;
const ETCD = { component: 'etcd', endpoints: ['10.77.0.10:2379', '10.77.0.10:2380'] } as const;
const KUBELET = { component: 'kubelet', endpoints: ['10.77.0.11:10250', 'w1'] } as const;

describe('complaintsAbout', () => {
  for (const [what, speaker, line, about, cause] of [
    ['a kubelet on the API server by address', 'kubelet', lease('10.77.0.10:6443', UNKNOWN), API, 'unknown-authority'],
    [
      'a kubelet on the API server by name, any port',
      'kubelet',
      lease('api.example', UNKNOWN),
      API,
      'unknown-authority',
    ],
    ['a kubelet on another API server', 'kubelet', lease('10.77.0.12:6443', UNKNOWN), API, ''],
    ['a kubelet on another port', 'kubelet', lease('10.77.0.10:443', UNKNOWN), API, ''],
    ['a kubelet that got 401', 'kubelet', `${HEAD}failed to update lease, error: Unauthorized`, API, 'unauthorized'],
    [
      'a kubelet seen as anonymous',
      'kubelet',
      `${HEAD}failed to update lease, error: leases is forbidden: User "system:anonymous" cannot get`,
      API,
      'no-client-certificate',
    ],
    [
      'a kubelet that may not do something',
      'kubelet',
      `${HEAD}Error updating node status, will retry: nodes "a" is forbidden: User "system:node:b" cannot get`,
      API,
      '',
    ],
    [
      'a kubelet that may not do something, by address',
      'kubelet',
      lease('10.77.0.10:6443', 'nodes "a" is forbidden: User "system:node:b" cannot get'),
      API,
      '',
    ],
    [
      'a kubelet whose own file is missing',
      'kubelet',
      `${HEAD}failed to run Kubelet: open /k.crt: no such file or directory`,
      API,
      '',
    ],
    [
      'a kubelet that cannot connect',
      'kubelet',
      lease('10.77.0.10:6443', 'dial tcp 10.77.0.10:6443: connect: connection refused'),
      API,
      '',
    ],
    [
      'a scheduler on the API server',
      'kube-scheduler',
      `${HEAD}error retrieving resource lock x: Get "https://10.77.0.10:6443/a": ${UNKNOWN}`,
      API,
      'unknown-authority',
    ],
    [
      'a kube-proxy on the API server',
      'kube-proxy',
      `${HEAD}factory.go:134: Failed to watch *v1.Service: failed to list *v1.Service: Get "https://10.77.0.10:6443/a": ${UNKNOWN}`,
      API,
      'unknown-authority',
    ],
    [
      'a controller manager that got 401',
      'kube-controller-manager',
      `${HEAD}"Error retrieving lease lock" err="Unauthorized"`,
      API,
      'unauthorized',
    ],
    [
      'an API server that a controller manager distrusts',
      'kube-apiserver',
      `${HEAD}http: TLS handshake error from 10.77.0.10:5: remote error: tls: bad certificate`,
      { component: 'kube-controller-manager', endpoints: ['10.77.0.10:10257'] },
      '',
    ],
    [
      'an API server that a scheduler elsewhere distrusts',
      'kube-apiserver',
      `${HEAD}http: TLS handshake error from 10.77.0.12:5: remote error: tls: bad certificate`,
      { component: 'kube-scheduler', endpoints: ['10.77.0.10:10259'] },
      '',
    ],
    [
      'an etcd on a kube-proxy, which never calls it',
      'etcd',
      rejected('10.77.0.10:40000', UNKNOWN),
      { component: 'kube-proxy', endpoints: ['10.77.0.10'] },
      '',
    ],
    [
      'an API server on the kubeconfig of an administrator',
      'kube-apiserver',
      `${HEAD}http: TLS handshake error from 10.77.0.10:5: remote error: tls: bad certificate`,
      { component: 'admin', endpoints: ['10.77.0.10'] },
      '',
    ],
    [
      'a kubelet refused by the API server as its caller',
      'kubelet',
      `${HEAD}http: TLS handshake error from 10.77.0.10:5: remote error: tls: bad certificate`,
      API,
      '',
    ],
    [
      'a caller of a kubelet that could be anybody',
      'kubelet',
      `${HEAD}Unable to authenticate the request due to an error: ${UNKNOWN}`,
      API,
      '',
    ],
    ['an etcd on the API server as its client', 'etcd', rejected('10.77.0.10:40000', UNKNOWN), API, ''],
    ['an etcd on a stranger', 'etcd', rejected('10.77.0.66:40000', UNKNOWN), API, ''],
    [
      'an etcd on a member at its peer port',
      'etcd',
      JSON.stringify({
        level: 'warn',
        msg: 'rejected connection on peer endpoint',
        'remote-addr': '10.77.0.10:4',
        error: UNKNOWN,
      }),
      API,
      '',
    ],
    [
      'an etcd on another member as its client',
      'etcd',
      rejected('10.77.0.10:40000', 'remote error: tls: bad certificate'),
      ETCD,
      '',
    ],
    [
      'an etcd on another member without a certificate',
      'etcd',
      rejected('10.77.0.10:40000', "tls: client didn't provide a certificate"),
      ETCD,
      '',
    ],
    [
      'an etcd on a plaintext client',
      'etcd',
      rejected('10.77.0.10:40000', 'tls: first record does not look like a TLS handshake'),
      ETCD,
      '',
    ],
    [
      'an etcd on another member as its server',
      'etcd',
      `failed to reach the peerURL(https://10.77.0.10:2380) of member 6f (Get https://10.77.0.10:2380/version: ${UNKNOWN})`,
      ETCD,
      'unknown-authority',
    ],
    [
      'an etcd on a member it does not name',
      'etcd',
      `health check for peer 6f24c579a23f1713 could not connect: ${UNKNOWN}`,
      ETCD,
      '',
    ],
    ['an API server on etcd', 'kube-apiserver', dial('10.77.0.10:2379', UNKNOWN), ETCD, 'unknown-authority'],
    [
      'an API server refused by etcd',
      'kube-apiserver',
      dial('10.77.0.10:2379', 'remote error: tls: bad certificate'),
      ETCD,
      'refused-by-peer',
    ],
    ['an API server on another etcd', 'kube-apiserver', dial('10.77.0.12:2379', UNKNOWN), ETCD, ''],
    ['an API server on an etcd that was stopping', 'kube-apiserver', dial('10.77.0.10:2379', 'EOF'), ETCD, ''],
    [
      'an API server on a kubelet',
      'kube-apiserver',
      `${HEAD}apiserver received an error that is not an metav1.Status: &url.Error{Op:"Get", URL:"https://10.77.0.11:10250/a", Err:x509.UnknownAuthorityError{}}`,
      KUBELET,
      'unknown-authority',
    ],
    [
      'an API server on a kubelet it does not name',
      'kube-apiserver',
      `${HEAD}error dialing backend: ${UNKNOWN}`,
      KUBELET,
      '',
    ],
  ] as const) {
    it(`${cause === '' ? 'leaves out' : 'gives'} ${what}`, () => {
      const complaints = complaintsAbout(logOf([speaker, line]), { ...about, sinceMs: 0 });
      assert.deepEqual(
        complaints,
        cause === '' ? [] : [{ source: `journal ${speaker}.service`, line, observedAtMs: 1000, cause, rank: 'hint' }],
      );
    });
  }

  it('gives only what was logged since, and the same complaint once, the newest', () => {
    const log = logOf(
      ['kubelet', lease('10.77.0.10:6443', UNKNOWN)],
      ['kubelet', lease('10.77.0.10:6443', UNKNOWN)],
      ['kubelet', `${HEAD}failed to update lease, error: Unauthorized`],
      ['kubelet', lease('10.77.0.10:6443', UNKNOWN)],
    );
    const times = (question: ComplaintQuestion) =>
      complaintsAbout(log, question).map(({ observedAtMs }) => observedAtMs);
    assert.deepEqual(times({ ...API, sinceMs: 0 }), [1002, 1003]);
    assert.deepEqual(times({ ...API, sinceMs: 1003 }), [1003]);
    assert.deepEqual(times({ ...API, sinceMs: 1004 }), []);
  });

  it('hands on twenty, the newest', () => {
    const hosts = Array.from({ length: 25 }, (_, at) => `10.77.1.${at}:6443`);
    const log = logOf(...hosts.map((host): [Component, string] => ['kubelet', lease(host, UNKNOWN)]));
    const lines = complaintsAbout(log, { component: 'kube-apiserver', endpoints: hosts, sinceMs: 0 });
    assert.deepEqual([lines.length, lines[0]?.observedAtMs, lines.at(-1)?.observedAtMs], [20, 1005, 1024]);
  });

  it('takes what is said of a shared address, or of none, for another server when it was said in the minute before too', () => {
    const balanced = lease('10.77.0.9:6443', UNKNOWN);
    const refused = `${HEAD}failed to update lease, error: Unauthorized`;
    const own = lease('10.77.0.10:6443', UNKNOWN);
    const log = logOf(
      ...([balanced, refused, own, balanced, refused, own].map((line) => ['kubelet', line]) as [Component, string][]),
    );
    const times = (sinceMs: number, sharedEndpoints: string[]) => {
      const endpoints = ['10.77.0.9:6443', '10.77.0.10:6443'];
      const question = { component: 'kube-apiserver' as const, endpoints, sharedEndpoints, sinceMs };
      return complaintsAbout(log, question).map(({ observedAtMs }) => observedAtMs);
    };
    assert.deepEqual(times(1003, ['10.77.0.9:6443']), [1005]);
    assert.deepEqual(times(1003, []), [1003, 1004, 1005]);
    assert.deepEqual(times(1000, ['10.77.0.9:6443']), [1003, 1004, 1005], 'what began with the change counts');
  });
});

describe('FindingLog', () => {
  it('keeps the newest 2000 failures, oldest first', () => {
    const lines = Array.from({ length: MOST_FINDINGS + 5 }, (): [Component, string] => [
      'kubelet',
      lease('a', UNKNOWN),
    ]);
    const kept = logOf(...lines).since(0);
    assert.equal(kept.length, MOST_FINDINGS);
    assert.deepEqual([kept[0]?.entry.realtimeMs, kept.at(-1)?.entry.realtimeMs], [1005, 1000 + MOST_FINDINGS + 4]);
  });

  it('keeps no success and no noise', () => {
    const log = logOf(['kubelet', `${HEAD}Started kubelet`], ['kubelet', lease('a', 'EOF')]);
    assert.deepEqual(log.since(0), []);
  });
});
