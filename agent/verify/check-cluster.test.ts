import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { checkCluster } from './check-cluster.ts';
import { type Answers, answered, clusterChecks } from './cluster-for-tests.ts';
import { detectedApiserver, detectedKubelet } from './detected-for-tests.ts';
import type { Expectation } from './expectation.ts';
import type { Patience } from './patience.ts';
import { folderOf, kubeconfigText, testAuthority } from './pki-for-tests.ts';
import type { Probe, ProbeOutcome } from './probe.ts';

const signal = new AbortController().signal;

const { authority, client, expectation, check } = await clusterChecks();

describe('checkCluster', () => {
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
      const patience: Patience = { untilMs: clock.monotonicMs() + 120_000, hopeless: () => Promise.resolve(false) };
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
        assert.equal(outcome.unanswered, /unreachable/.test(outcome.summary) ? true : undefined);
      });
    }

    const reset: ProbeOutcome = { kind: 'refused', by: 'reset', detail: 'socket hang up', served: undefined };
    const silences: [what: string, answers: Answers][] = [
      ['an API server that is not there', {}],
      ['a load balancer without a server', { [nodePath]: reset }],
      ['an API server without its etcd', { [nodePath]: answered(503, 'etcdserver: no leader') }],
      ['an API server that has too much to do', { [nodePath]: answered(429, 'Too Many Requests') }],
      ['one that goes away meanwhile', { [nodePath]: answered(200, node('True')) }],
    ];
    for (const [what, answers] of silences) {
      it(`takes ${what} for a silence that says nothing of the kubelet`, async (test) => {
        const { outcome } = await checkKubelet(test, answers);
        assert.deepEqual([outcome.result, outcome.unanswered], ['failed', true]);
      });
    }
  });
});
