import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { Detected } from '../detect/detected.ts';
import { checkCluster } from './check-cluster.ts';
import { detectedApiserver, detectedEtcd, detectedKubelet } from './detected-for-tests.ts';
import type { Expectation } from './expectation.ts';
import { noPatience, type Patience } from './patience.ts';
import { folderOf, kubeconfigText, type TestAuthority, type TestLeaf, testAuthority } from './pki-for-tests.ts';
import type { Probe, ProbeOutcome } from './probe.ts';

const signal = new AbortController().signal;

/** Answers of a server by "host path"; whatever is not in it is unreachable. */
type Answers = Record<string, ProbeOutcome>;

function answered(status: number, body: unknown): ProbeOutcome {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const served = { serial: '1', sha256: '', notAfterMs: 0, issuer: 'CN=kubernetes', tlsVersion: 'TLSv1.3' };
  return { kind: 'answered', status, body: text, served };
}

function fakeProbe(answers: Answers): { probe: Probe; asked: string[] } {
  const asked: string[] = [];
  const probe: Probe = async ({ host, path, tls }) => {
    asked.push(`${host} ${path} ${tls?.client === undefined ? 'anonymous' : 'with certificate'}`);
    return answers[`${host} ${path}`] ?? { kind: 'unreachable', detail: 'connect ECONNREFUSED' };
  };
  return { probe, asked };
}

describe('checkCluster', () => {
  let authority: TestAuthority;
  let client: TestLeaf;

  before(async () => {
    authority = await testAuthority('kubernetes');
    client = await authority.issue({ usages: ['client'] });
  });

  async function expectation(test: TestContext, detected: Detected): Promise<Expectation> {
    return {
      detected,
      folder: await folderOf(test, { 'probe-client': client, client, 'healthcheck-client': client }),
      serials: new Map([['client', client.serial]]),
      target: 'enforced',
      live: false,
      rootsPem: new Map([
        ['kubernetes', authority.rootsPem],
        ['etcd', authority.rootsPem],
      ]),
    };
  }

  async function check(
    test: TestContext,
    detected: Detected,
    answers: Answers,
    startedAtMs = 0,
    change: Partial<Expectation> = {},
  ) {
    const { probe, asked } = fakeProbe(answers);
    const expected = { ...(await expectation(test, detected)), ...change };
    const deps = { clock: new FakeClock(), probe };
    const outcome = await checkCluster(deps, expected, startedAtMs, noPatience, signal);
    return { outcome, asked, lines: outcome.evidence.map(({ source, line }) => `${source}: ${line}`).join('\n') };
  }

  describe('of an API server', () => {
    const detected = detectedApiserver({ 'advertise-address': '10.0.0.1' });

    it('passes when it is ready, and does not mind that the probe may not read metrics', async (test) => {
      const answers = { '127.0.0.1 /readyz': answered(200, 'ok'), '127.0.0.1 /metrics': answered(403, 'Forbidden') };
      const { outcome, asked, lines } = await check(test, detected, answers);
      assert.equal(outcome.result, 'passed', lines);
      assert.doesNotMatch(lines, /403/);
      assert.deepEqual(asked[0], '127.0.0.1 /readyz with certificate');
    });

    it('tells the handshake errors that it has counted where it may read them', async (test) => {
      const metrics = '# TYPE x counter\napiserver_tls_handshake_errors_total 3\n';
      const answers = { '127.0.0.1 /readyz': answered(200, 'ok'), '127.0.0.1 /metrics': answered(200, metrics) };
      const { lines } = await check(test, detected, answers);
      assert.match(lines, /apiserver_tls_handshake_errors_total 3 since its start/);
    });

    it('names the checks that fail', async (test) => {
      const { outcome, lines } = await check(test, detected, {
        '127.0.0.1 /readyz': answered(500, 'not ok'),
        '127.0.0.1 /readyz?verbose': answered(500, '[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed'),
      });
      assert.equal(outcome.result, 'failed');
      assert.match(lines, /\[-\]etcd failed: reason withheld/);
      assert.doesNotMatch(lines, /ping/);
    });

    it('waits for it to become ready', async (test) => {
      const clock = new FakeClock(0);
      let ready = false;
      const probe: Probe = async () => answered(ready ? 200 : 500, ready ? 'ok' : '[-]poststarthook failed');
      const patience: Patience = { untilMs: 120_000, hopeless: () => Promise.resolve(false) };
      const running = checkCluster({ clock, probe }, await expectation(test, detected), 0, patience, signal);
      while (clock.sleeping === 0) await new Promise((resolve) => setImmediate(resolve));
      ready = true;
      while (clock.sleeping > 0) await clock.advance(1000);
      assert.equal((await running).result, 'passed');
    });
  });

  describe('of a kubelet', () => {
    /** Checks a kubelet by its kubeconfig on disk. */
    async function checkKubelet(
      test: TestContext,
      answers: Answers,
      { shows = client, trusts = authority, change = {} as Partial<Expectation> } = {},
    ) {
      const kubeconfigPath = join(await folderOf(test, {}), 'kubelet.conf');
      await writeFile(kubeconfigPath, kubeconfigText(6443, trusts.rootsPem, shows));
      return check(test, detectedKubelet({ kubeconfigPath }), answers, startedAtMs, change);
    }
    const nodePath = '127.0.0.1 /api/v1/nodes/w1';
    const leasePath = '127.0.0.1 /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/w1';
    const startedAtMs = Date.UTC(2026, 0, 1, 12);
    const node = (status: string, message = 'kubelet is posting ready status') => ({
      status: {
        conditions: [
          { type: 'MemoryPressure', status: 'False' },
          { type: 'Ready', status, message },
        ],
      },
    });
    const lease = (renewTime: string) => answered(200, { spec: { renewTime } });
    const fresh = lease('2026-01-01T12:00:01.000000Z');

    it('passes when the node is Ready and the lease was renewed by the new process', async (test) => {
      const answers = { [nodePath]: answered(200, node('True')), [leasePath]: fresh };
      const { outcome, asked, lines } = await checkKubelet(test, answers);
      assert.equal(outcome.result, 'passed', lines);
      assert.match(lines, /Ready=True/);
      assert.ok(asked.every((each) => each.endsWith('with certificate')));
    });

    it('has to show the new certificate and to trust every root, unless it is only made to trust', async (test) => {
      const answers = { [nodePath]: answered(200, node('True')), [leasePath]: fresh };
      const shows = await authority.issue();
      const other = await checkKubelet(test, answers, { shows });
      assert.match(other.outcome.summary, new RegExp(`instead of the new one with serial ${client.serial}`));
      const distrusting = await checkKubelet(test, answers, { trusts: await testAuthority('kubernetes') });
      assert.match(distrusting.outcome.summary, /does not trust the root CN=kubernetes/);
      const change = { target: 'trusting' as const, serials: new Map<string, string>() };
      assert.equal((await checkKubelet(test, answers, { shows, change })).outcome.result, 'passed');
    });

    it('takes Ready alone where leases cannot be read', async (test) => {
      for (const lease of [answered(404, 'not found'), answered(403, 'leases "w1" is forbidden')]) {
        const answers = { [nodePath]: answered(200, node('True')), [leasePath]: lease };
        assert.equal((await checkKubelet(test, answers)).outcome.result, 'passed');
      }
    });

    const failures: { what: string; answers: Answers; why: RegExp }[] = [
      {
        what: 'a lease that only the old process renewed, although the node still says Ready',
        answers: { [nodePath]: answered(200, node('True')), [leasePath]: lease('2026-01-01T11:59:59.000000Z') },
        why: /not since the kubelet was to use its new files/,
      },
      {
        what: 'a client certificate that is not believed',
        answers: { [nodePath]: answered(401, 'Unauthorized') },
        why: /answered 401 .*"Unauthorized"/,
      },
      {
        what: 'a client certificate of another node',
        answers: { [nodePath]: answered(403, 'nodes "w1" is forbidden: User "system:node:w2" cannot get') },
        why: /forbidden/,
      },
      {
        what: 'a node that is not Ready, with the reason',
        answers: { [nodePath]: answered(200, node('False', 'cni plugin not initialized')), [leasePath]: fresh },
        why: /Ready=False cni plugin not initialized/,
      },
      {
        what: 'an answer that is no node',
        answers: { [nodePath]: answered(200, '<html>'), [leasePath]: fresh },
        why: /no condition Ready/,
      },
      { what: 'an API server that cannot be reached', answers: {}, why: /unreachable/ },
    ];
    for (const { what, answers, why } of failures) {
      it(`fails for ${what}`, async (test) => {
        const { outcome } = await checkKubelet(test, answers);
        assert.equal(outcome.result, 'failed');
        assert.match(outcome.summary, why);
      });
    }
  });

  describe('of an etcd member', () => {
    const detected = detectedEtcd({ 'listen-client-urls': 'https://10.0.0.1:2379' });
    const healthy = answered(200, { health: 'true' });
    const members = (...others: { name: string; clientURLs: string[] }[]) => {
      const header = { cluster_id: '14841639068965178418', member_id: '1' };
      const list = [{ name: 'cp1', clientURLs: ['https://10.0.0.1:2379'] }, ...others];
      return answered(200, { header, members: list.map((member, at) => ({ ID: String(at + 1), ...member })) });
    };
    const own: Answers = {
      '10.0.0.1 /health': healthy,
      '10.0.0.1 /v3/maintenance/status': answered(200, { leader: '18446744073709551615' }),
    };

    it('passes with a leader and every other member in reach', async (test) => {
      const { outcome, lines } = await check(test, detected, {
        ...own,
        '10.0.0.1 /v3/cluster/member/list': members({ name: 'cp2', clientURLs: ['https://10.0.0.2:2379'] }),
        '10.0.0.2 /health': healthy,
      });
      assert.equal(outcome.result, 'passed', lines);
      assert.equal(outcome.summary, 'etcd is healthy, has a leader and 2 members');
      assert.match(lines, /leader ffffffffffffffff/);
      assert.match(lines, /cluster cdf818194e3a8c32 of 2 members: cp1, cp2/);
    });

    it('does not ask members that are not ours yet, nor their loopback addresses', async (test) => {
      const { outcome, asked } = await check(test, detected, {
        ...own,
        '10.0.0.1 /v3/cluster/member/list': members(
          { name: 'cp2', clientURLs: ['http://10.0.0.2:2379'] },
          { name: 'cp3', clientURLs: ['https://127.0.0.1:2379'] },
        ),
      });
      assert.equal(outcome.result, 'passed');
      assert.deepEqual(
        asked.filter((each) => !each.startsWith('10.0.0.1 ')),
        [],
      );
    });

    it('reaches a member whose turn to trust is still to come with its own certificate', async (test) => {
      const files = await folderOf(test, { server: await authority.issue() });
      const settings = { 'cert-file': join(files, 'server.crt'), 'key-file': join(files, 'server.key') };
      const trusting = detectedEtcd({ 'listen-client-urls': 'https://10.0.0.1:2379', ...settings });
      const answers: Answers = {
        ...own,
        '10.0.0.1 /v3/cluster/member/list': members({ name: 'cp2', clientURLs: ['https://10.0.0.2:2379'] }),
      };
      const ownPem = await readFile(join(files, 'server.crt'), 'utf8');
      const { probe } = fakeProbe(answers);
      const other: Probe = async (request) => {
        if (request.host !== '10.0.0.2') return probe(request);
        if (request.tls?.client?.certPem === ownPem) return healthy;
        return { kind: 'refused', by: 'tls-alert', detail: 'bad certificate', served: undefined };
      };
      const expected = await expectation(test, trusting);
      const ask = (target: 'trusting' | 'enforced') =>
        checkCluster({ clock: new FakeClock(), probe: other }, { ...expected, target }, 0, noPatience, signal);
      assert.equal((await ask('trusting')).result, 'passed');
      assert.equal((await ask('enforced')).result, 'failed');
    });

    it('calls another member, while our leaves still come from the old CA, by what that one trusts, and never by what it does not', async (test) => {
      const leaves = await folderOf(test, {
        server: await authority.issue(),
        'healthcheck-client': await (await testAuthority('new')).issue({ usages: ['client'] }),
      });
      const serverPem = await readFile(join(leaves, 'server.crt'), 'utf8');
      const { probe } = fakeProbe({
        ...own,
        '10.0.0.1 /v3/cluster/member/list': members({ name: 'cp2', clientURLs: ['https://10.0.0.2:2379'] }),
      });
      const refused: string[] = [];
      const other: Probe = async (request) => {
        if (request.host !== '10.0.0.2') return probe(request);
        if (request.tls?.client?.certPem === serverPem) return healthy;
        refused.push(request.path);
        return { kind: 'refused', by: 'tls-alert', detail: 'unknown ca', served: undefined };
      };
      const serials = new Map([['server', '1']]);
      const expected = { ...(await expectation(test, detected)), folder: leaves, serials };
      const { result, summary } = await checkCluster(
        { clock: new FakeClock(), probe: other },
        expected,
        0,
        noPatience,
        signal,
      );
      assert.equal(result, 'passed', summary);
      // each refusal would stand in the other member's journal, as a complaint about this one
      assert.deepEqual(refused, []);
    });

    const failures: { what: string; answers: Answers; why: RegExp }[] = [
      {
        what: 'a member without a leader',
        answers: { ...own, '10.0.0.1 /v3/maintenance/status': answered(200, {}) },
        why: /leader unknown/,
      },
      {
        what: 'an unhealthy member',
        answers: { ...own, '10.0.0.1 /health': answered(503, { health: 'false' }) },
        why: /answered 503/,
      },
      {
        what: 'another member that refuses our certificate',
        answers: {
          ...own,
          '10.0.0.1 /v3/cluster/member/list': members({ name: 'cp2', clientURLs: ['https://10.0.0.2:2379'] }),
          '10.0.0.2 /health': { kind: 'refused', by: 'tls-alert', detail: 'bad certificate', served: undefined },
        },
        why: /etcd cp2 10\.0\.0\.2:2379: refused by tls-alert/,
      },
      {
        what: 'another member that is not well',
        answers: {
          ...own,
          '10.0.0.1 /v3/cluster/member/list': members({ name: 'cp2', clientURLs: ['https://10.0.0.2:2379'] }),
          '10.0.0.2 /health': answered(503, { health: 'false' }),
        },
        why: /etcd cp2 10\.0\.0\.2:2379: answered 503/,
      },
      {
        what: 'a member list that makes no sense',
        answers: { ...own, '10.0.0.1 /v3/cluster/member/list': answered(200, { members: 'x' }) },
        why: /member list of another form/,
      },
    ];
    for (const { what, answers, why } of failures) {
      it(`fails for ${what}`, async (test) => {
        const { outcome } = await check(test, detected, answers);
        assert.equal(outcome.result, 'failed');
        assert.match(outcome.summary, why);
      });
    }
  });
});
