import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judgeProbes, judgeRefusals, type ProbeLimits } from './judge-probes.ts';
import type { Missed, ProbeCount, ProbeReport, Span } from './probe-clients.ts';
import type { Restarts } from './restart-windows.ts';

const START = Date.UTC(2026, 0, 1);
const limits: ProbeLimits = { answered: 100, outageMs: 10_000, startMs: 7500, leaseMs: 40_000 };
/** From the hundredth to the hundred and fourth second the API server restarts, etcd from 200 to 201, kubelet from 300 to 302. */
const restarts: Restarts = {
  apiServer: [{ ...span(99, 130), restartedMs: at(101) }],
  etcd: [{ ...span(200, 230), restartedMs: at(201) }],
  kubelet: [{ ...span(300, 320), restartedMs: at(302) }],
};
const outage = span(100, 104);

function at(seconds: number): number {
  return START + seconds * 1000;
}

function span(from: number, until: number): Span {
  return { fromMs: at(from), untilMs: at(until) };
}

function missed(why: string, from: number, until = from): Missed {
  return { ...span(from, until), why };
}

function status(code: number, message: string, reason = ''): string {
  const fields = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
  return `${code} ${JSON.stringify(fields)}\n`.slice(0, 300);
}

function report(client: string, count: Partial<ProbeCount>, outages: Span[] = [outage]): ProbeReport {
  const good = { asked: 3000, answered: 2900, refused: [], away: [], longestGapMs: 0, oldestMs: 12_000 };
  return { clients: { [client]: { ...good, ...count } }, outages };
}

const REFUSED = 'connect ECONNREFUSED 10.77.0.10:6443';
const FORBIDDEN = status(
  403,
  'leases.coordination.k8s.io "w1" is forbidden: User "system:node:w1" cannot get',
  'Forbidden',
);
const UNAUTHORIZED = status(401, 'Unauthorized', 'Unauthorized');
const HEADLESS = 'rpc error: code = Unknown desc = OK: HTTP status code 200; transport: missing content-type field';
const NO_KUBELET = status(500, 'error trying to reach service: dial tcp 10.77.0.11:10250: connect: connection refused');
const CUT_KUBELET = status(500, 'error trying to reach service: EOF');

describe('what is promised on a machine that is busy', () => {
  /** An absence from 100 s on, in which the new process of the API server ran from a moment on, with a lease of an age. */
  const judge = (until: number, restarted: number, oldestMs = 12_000) => {
    const apiServer = [{ ...span(100, until), restartedMs: at(restarted) }];
    const seen = report('kubelet lease', { oldestMs }, [span(100, until)]);
    return judgeProbes(seen, { apiServer, etcd: [], kubelet: [] }, limits).complaints;
  };

  it('stretches by as much as the API server starts more slowly than on an idle one', () => {
    assert.deepEqual(judge(120, 105), [], 'it needed 15 s from its start: twice as long');
    assert.deepEqual(judge(120, 105, 79_000), []);
    assert.equal(judge(120, 105, 81_000).length, 1);
    assert.equal(judge(120.1, 105.2).length, 1, 'the limit is 19.9 s');
  });

  it('does not stretch where it is slow to stop', () => {
    assert.match(judge(112, 108).join(), /for 12\.0 s: longer than 10\.0 s/);
  });

  it('is twice as much where etcd is restarted in the same absence', () => {
    const both = (until: number) => {
      const window = { ...span(100, until), restartedMs: at(until - 5) };
      const seen = report('kubectl', {}, [span(100, until)]);
      return judgeProbes(seen, { apiServer: [window], etcd: [window], kubelet: [] }, limits).complaints;
    };
    assert.deepEqual(both(120), []);
    assert.equal(both(120.1).length, 1);
  });

  it('leaves the lease of a leader as old as 40 s and the time without an API server, and no other', () => {
    const complaintsOf = (client: string, oldestMs: number) =>
      judgeProbes(report(client, { oldestMs }, [span(100, 104)]), restarts, limits).complaints;
    assert.deepEqual(complaintsOf('controller manager lease', 44_000), []);
    assert.equal(complaintsOf('controller manager lease', 44_001).length, 1);
    assert.equal(complaintsOf('kubelet lease', 40_001).length, 1);
  });

  it('stretches to four times at most', () => {
    assert.match(judge(400, 105).join(), /for 300\.0 s: longer than 40\.0 s/);
  });
});

describe('what clients met while a cluster was changed', () => {
  const forgiven: [what: string, client: string, kind: 'away' | 'refused', calls: Missed[]][] = [
    ['nobody listens in an outage', 'kubectl', 'away', [missed(REFUSED, 100.5), missed(REFUSED, 103.9)]],
    ['the port is closed meanwhile', 'kubectl', 'away', [missed('connect ECONNRESET 10.77.0.10:6443', 100.1)]],
    ['a call hangs that began before the outage', 'kubectl', 'away', [missed('no answer in time', 98, 101)]],
    ['a call is cut as the API server ends', 'kubectl', 'away', [missed('socket hang up', 99.9, 100.1)]],
    ['an API server shuts down', 'kubectl', 'away', [missed(status(503, 'apiserver is shutting down'), 100)]],
    ['roles are not read in an outage', 'kubelet lease', 'refused', [missed(FORBIDDEN, 103, 103.1)]],
    [
      'etcd cuts two calls',
      'kubectl',
      'away',
      [missed(status(500, HEADLESS), 200), missed(status(500, HEADLESS), 200)],
    ],
    ['kubelet is away', 'kubelet logs', 'away', Array.from({ length: 20 }, () => missed(NO_KUBELET, 301))],
    ['kubelet cuts a call', 'kubelet logs', 'away', [missed(CUT_KUBELET, 300)]],
  ];
  for (const text of [
    'rpc error: code = Internal desc = transport: transport: the stream is done or WriteHeader was already called',
    'rpc error: code = Unavailable desc = transport is closing',
    'rpc error: code = Internal desc = server closed the stream without sending trailers',
    'rpc error: code = Unavailable desc = etcdserver: leader changed',
    'etcdserver: leader changed',
    'etcdserver: request timed out',
    'etcdserver: request timed out, possibly due to previous leader failure',
  ]) {
    forgiven.push([`etcd says "${text}"`, 'kubectl', 'away', [missed(status(500, text), 200.5)]]);
  }
  for (const [what, client, kind, calls] of forgiven) {
    it(`is forgiven and counted when ${what}`, () => {
      const judged = judgeProbes(report(client, { [kind]: calls }), restarts, limits);
      assert.deepEqual(judged.complaints, []);
      assert.match(judged.forgiven.join('\n'), new RegExp(`^${client}: ${calls.length} because [^\\n]*$`));
    });
  }

  const complained: [what: string, client: string, kind: 'away' | 'refused', calls: Missed[]][] = [
    ['a 401 in an outage', 'kubectl', 'refused', [missed(UNAUTHORIZED, 101)]],
    ['a certificate that is not trusted in an outage', 'kubectl', 'refused', [missed('self signed certificate', 101)]],
    ['a 403 that is about no role', 'kubectl', 'refused', [missed('403 no', 101)]],
    ['a 403 after the outage', 'kubelet lease', 'refused', [missed(FORBIDDEN, 105)]],
    [
      '403 for longer than roles take',
      'kubelet lease',
      'refused',
      Array.from({ length: 26 }, () => missed(FORBIDDEN, 103)),
    ],
    ['nobody there before the outage', 'kubectl', 'away', [missed(REFUSED, 99)]],
    ['nobody there after the outage', 'kubectl', 'away', [missed(REFUSED, 104.5)]],
    ['more calls than fit into an outage', 'kubectl', 'away', Array.from({ length: 51 }, () => missed(REFUSED, 102))],
    ['a 500 in an outage that is about something else', 'kubectl', 'away', [missed(status(500, 'panic'), 102)]],
    [
      'a 500 with any text of etcd',
      'kubectl',
      'away',
      [missed(status(500, 'rpc error: code = Unknown desc = x'), 200)],
    ],
    [
      'a third call that etcd cut',
      'kubectl',
      'away',
      Array.from({ length: 3 }, () => missed(status(500, HEADLESS), 200)),
    ],
    ['a call that etcd cut before it was restarted', 'kubectl', 'away', [missed(status(500, HEADLESS), 199)]],
    ['a call that etcd cut after it was restarted', 'kubectl', 'away', [missed(status(500, HEADLESS), 202)]],
    ['a kubelet that is away from others than its logs', 'kubectl', 'away', [missed(NO_KUBELET, 301)]],
    ['a kubelet that is away without a restart', 'kubelet logs', 'away', [missed(NO_KUBELET, 400)]],
    ['a kubelet that stays away', 'kubelet logs', 'away', Array.from({ length: 61 }, () => missed(NO_KUBELET, 310))],
    [
      'a third call that kubelet cut',
      'kubelet logs',
      'away',
      Array.from({ length: 3 }, () => missed(CUT_KUBELET, 300)),
    ],
  ];
  for (const [what, client, kind, calls] of complained) {
    it(`does not forgive ${what}`, () => {
      const { complaints } = judgeProbes(report(client, { [kind]: calls }), restarts, limits);
      assert.equal(complaints.length, 1, complaints.join('\n'));
      assert.match(complaints[0] ?? '', new RegExp(`^${client} `));
    });
  }

  it('does not forgive one absence of five minutes with a thousand refusals', () => {
    const refused = Array.from({ length: 1000 }, (_, index) => missed(UNAUTHORIZED, 100 + index * 0.3));
    const { complaints } = judgeProbes(report('kubectl', { refused }, [span(100, 400)]), restarts, limits);
    assert.equal(complaints.length, 1001);
    assert.match(complaints[0] ?? '', /^the API server was away 00:01:40\.000Z for 300\.0 s: longer than 80\.0 s$/);
  });

  it('does not forgive an absence that is a little too long', () => {
    const [short, long] = [span(100, 110), span(100, 110.001)];
    // its new process runs from 103 s on, so that it starts as fast as on an idle machine
    const swift = { ...restarts, apiServer: [{ ...span(99, 130), restartedMs: at(103) }] };
    assert.deepEqual(judgeProbes(report('kubectl', {}, [short]), swift, limits).complaints, []);
    assert.equal(judgeProbes(report('kubectl', {}, [long]), swift, limits).complaints.length, 1);
  });

  it('forgives one absence for each restart of the API server or of its etcd, and nothing in others', () => {
    const both = [outage, span(200, 201)];
    assert.deepEqual(judgeProbes(report('kubectl', {}, both), restarts, limits).complaints, []);
    const again = span(110, 111);
    const away = [missed(REFUSED, 110.5)];
    const { complaints } = judgeProbes(report('kubectl', { away }, [outage, again]), restarts, limits);
    assert.deepEqual(complaints, [
      'the API server was away 00:01:50.000Z for 1.0 s, and no restart explains it',
      `kubectl 00:01:50.500Z for 0.0 s: ${REFUSED}`,
    ]);
    const unplanned = judgeProbes(report('kubectl', {}, [span(50, 51)]), restarts, limits).complaints;
    assert.deepEqual(unplanned, ['the API server was away 00:00:50.000Z for 1.0 s, and no restart explains it']);
  });

  it('does not forgive a lease that is old', () => {
    const judged = (oldestMs: number) =>
      judgeProbes(report('kubelet lease', { oldestMs }), restarts, limits).complaints;
    assert.deepEqual(judged(40_000), []);
    assert.deepEqual(judged(320_000), ['kubelet lease was 320 s old']);
  });

  it('proves nothing with few answers', () => {
    const { complaints } = judgeProbes(report('kubectl', { answered: 100 }), restarts, limits);
    assert.deepEqual(complaints, ['kubectl was answered 100 times: too few to prove anything']);
  });
});

describe('what clients met behind a load balancer', () => {
  it('is no refusal at any time, nor an old lease', () => {
    const refused = [missed(FORBIDDEN, 103)];
    assert.equal(judgeRefusals(report('kubectl', { refused }), limits).length, 1);
    assert.equal(judgeRefusals(report('kubelet lease', { oldestMs: 41_000 }), limits).length, 1);
    assert.equal(judgeRefusals(report('kubectl', { answered: 3 }), limits).length, 1);
    assert.deepEqual(judgeRefusals(report('kubectl', { away: [missed(REFUSED, 50)] }), limits), []);
  });
});
