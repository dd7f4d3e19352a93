import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import type { Detected } from '../detect/detected.ts';
import type { Target } from '../plan/change.ts';
import { FakeCluster } from '../plan/fake-cluster.ts';
import { StatusBoard } from '../report/status-board.ts';
import type { CheckOutcome } from '../verify/checks.ts';
import { detectedApiserver, detectedEtcd, detectedKubelet } from '../verify/detected-for-tests.ts';
import type { Probe, ProbeOutcome } from '../verify/probe.ts';
import type { Served } from '../verify/server-trust.ts';
import { targetOf, verifyInstalled } from './verify-installed.ts';

const peers: CheckOutcome = { kind: 'peers', result: 'passed', summary: 'no complaint', evidence: [] };

/** An etcd that tests break: prepared and serving plaintext, or with mutual TLS enforced. */
async function begin(test: TestContext, step: 'prepare' | 'enforce' = 'prepare') {
  const cluster = await FakeCluster.controlPlane();
  test.after(() => cluster.remove());
  cluster.settings = { ...cluster.settings, etcdStep: step };
  const member = (id: string) => {
    return { id, name: id, peerUrls: [`http://10.77.0.1${id}:2380`], clientUrls: ['http://127.0.0.1:2379'] };
  };
  cluster.members = [member('a1'), member('a2')]; // one alone would not wait for others
  const clock = new FakeClock();
  const board = new StatusBoard(() => clock.nowMs());
  const state = { unit: 'ActiveState=active\nMainPID=1\nInvocationID=aaaa\nNRestarts=0\n', healthy: true };
  const serials = new Map<number, string>();
  const probe: Probe = async ({ path, port, tls }) => {
    if (!state.healthy) return { kind: 'unreachable', detail: 'connect ECONNREFUSED' };
    const serial = serials.get(port);
    const served = serial === undefined ? undefined : servedWith(serial);
    if (served !== undefined && tls === undefined) return refused('reset', undefined);
    if (served !== undefined && tls?.client === undefined) return refused('tls-alert', served);
    const answers: Record<string, object> = {
      '/health': { health: 'true' },
      '/version': { etcdserver: '3.4.23' },
      '/v3/maintenance/status': { leader: '1' },
      '/v3/cluster/member/list': { header: { cluster_id: '1', member_id: '1' }, members: [] },
    };
    return { kind: 'answered', status: 200, body: JSON.stringify(answers[path]), served };
  };
  const journal: CheckOutcome = { kind: 'journal', result: 'passed', summary: 'quiet', evidence: [] };
  const deps = {
    board,
    verify: {
      ...{ clock, probe, layout: cluster.node.layout },
      run: async () => ({ code: 0, stdout: state.unit, stderr: '' }),
      judgeJournal: async () => journal,
    },
  };
  const verify = async () => {
    const input = await cluster.input();
    const etcd = input.detected.components.find(({ component }) => component === 'etcd') ?? assert.fail('no etcd');
    const verified = verifyInstalled(deps, input, etcd, new AbortController().signal);
    let done = false;
    verified.then(
      () => {
        done = true;
      },
      () => {
        done = true;
      },
    );
    while (!done) await clock.advance(1_000); // checks settle, and have patience
    await verified;
  };
  const install = async () => {
    await cluster.apply(await cluster.plan());
    if (step === 'prepare') return;
    const { current } = await cluster.input();
    for (const { file, pem } of current.find(({ component }) => component === 'etcd')?.certificates ?? []) {
      if (file === 'server') serials.set(2379, parseCertificate(pem).serial);
      if (file === 'peer') serials.set(2380, parseCertificate(pem).serial);
    }
  };
  return { journal, cluster, board, state, install, verify };
}

const admin: Detected = {
  process: { kind: 'none', name: '', user: 'root', uid: 0, gid: 0, activeState: '' },
  ...{ component: 'admin', version: '', kubeconfigs: [] },
};

function etcdAt(url: string): Detected {
  return detectedEtcd({ 'listen-client-urls': url });
}

function servedWith(serial: string): Served {
  return { serial, sha256: '', notAfterMs: 0, issuer: 'CN=etcd', tlsVersion: 'TLSv1.3' };
}

function refused(by: 'reset' | 'tls-alert', served: Served | undefined): ProbeOutcome {
  return { kind: 'refused', by, detail: 'no', served };
}

describe('verifyInstalled', () => {
  it('says nothing of a component without certificates of ours', async (test) => {
    const { board, verify } = await begin(test);
    board.set('etcd', { state: 'detected' });
    await verify();
    assert.deepEqual(board.get('etcd')?.checks, []);
  });

  it('proves a prepared etcd as such, also when the cluster does not answer, and tells its certificates', async (test) => {
    const { cluster, board, install, verify } = await begin(test);
    await install();
    cluster.members = undefined;
    board.set('etcd', { state: 'detected', etcd: undefined, checks: [peers] });
    await verify();
    const { state, reason, checks, certificates, trust } = board.get('etcd') ?? assert.fail();
    const pin = cluster.signers.get('etcd')?.certificate.publicKeyPin ?? assert.fail();
    assert.deepEqual(trust, [{ authority: 'etcd', rootPins: [pin] }]);
    assert.deepEqual(
      certificates.map(({ issuerPin }) => issuerPin),
      [pin, pin, pin],
    );
    assert.deepEqual(
      checks.filter(({ result }) => result === 'failed'),
      [],
    );
    assert.equal(state, 'pending');
    assert.match(reason, /^prepared for TLS/);
    assert.deepEqual(
      checks.map(({ kind }) => kind),
      ['unit', 'journal', 'handshake', 'cluster', 'peers'],
    );
    assert.deepEqual(certificates.map(({ profile }) => profile).sort(), [
      'etcd-healthcheck-client',
      'etcd-peer',
      'etcd-server',
    ]);
    assert.match(certificates[0]?.path ?? '', /\/etcd\/current\/.*\.crt$/);
  });

  it('says VERIFIED of an etcd that enforces mutual TLS, whatever was said of it before', async (test) => {
    for (const before of ['detected', 'degraded', 'verified'] as const) {
      const { board, install, verify } = await begin(test, 'enforce');
      await install();
      board.set('etcd', { state: before, reason: 'an older one' });
      await verify();
      const { state, reason, checks } = board.get('etcd') ?? assert.fail();
      assert.deepEqual([state, reason], ['verified', ''], JSON.stringify(checks, null, 1));
    }
  });

  it('is DEGRADED when a check fails, with the check in the reason, and loses failed words of peers', async (test) => {
    const { board, state, install, verify } = await begin(test);
    await install();
    board.set('etcd', { state: 'verified', checks: [{ ...peers, result: 'failed' }] });
    state.healthy = false;
    await verify();
    assert.equal(board.get('etcd')?.state, 'degraded');
    assert.deepEqual(board.get('etcd')?.trust, []); // whether it has taken its files up is not known
    assert.match(board.get('etcd')?.reason ?? '', /^handshake check failed: .*ECONNREFUSED/);
    assert.ok(!board.get('etcd')?.checks.some(({ kind }) => kind === 'peers'));
    state.healthy = true;
    await verify();
    assert.equal(board.get('etcd')?.state, 'pending');
  });

  it('is not DEGRADED by a log that complains beside proofs that pass: it is shown as inconclusive', async (test) => {
    const { board, journal, install, verify } = await begin(test, 'enforce');
    await install();
    board.set('etcd', { state: 'verified' });
    journal.result = 'failed';
    await verify();
    const { state, checks } = board.get('etcd') ?? assert.fail();
    assert.deepEqual([state, checks.find(({ kind }) => kind === 'journal')?.result], ['verified', 'inconclusive']);
  });

  it('leaves a unit alone that nobody wants to run', async (test) => {
    const { board, state, install, verify } = await begin(test);
    await install();
    board.set('etcd', { state: 'detected' });
    state.unit = 'ActiveState=inactive\nUnitFileState=disabled\n';
    await verify();
    assert.deepEqual([board.get('etcd')?.state, board.get('etcd')?.checks], ['detected', []]);
  });
});

describe('targetOf', () => {
  const installed = (...files: string[]) => ({
    certificates: files.map((file) => ({ file, pem: '', keyMatches: true })),
  });
  const rows: [what: string, detected: Detected, files: string[], target: Target][] = [
    ['a kubelet with its certificates', detectedKubelet({}), ['client', 'probe-client', 'serving'], 'enforced'],
    ['a kubelet with the probe alone', detectedKubelet({}), ['probe-client'], 'trusting'],
    ['an API server of a foreign CA', detectedApiserver({}), ['front-proxy-client', 'probe-client'], 'trusting'],
    ['an etcd in plaintext', etcdAt('http://127.0.0.1:2379'), ['healthcheck-client', 'peer', 'server'], 'prepared'],
    ['an etcd with TLS', etcdAt('https://127.0.0.1:2379'), ['healthcheck-client', 'peer', 'server'], 'enforced'],
    ['an etcd of a foreign CA', etcdAt('https://127.0.0.1:2379'), ['healthcheck-client'], 'trusting'],
    ['a super-admin alone', admin, ['super-admin'], 'enforced'],
    ['kubeconfigs that only trust', admin, [], 'trusting'],
  ];
  for (const [what, detected, files, target] of rows) {
    it(`says ${target} of ${what}`, () => assert.equal(targetOf(detected, installed(...files)), target));
  }
});
