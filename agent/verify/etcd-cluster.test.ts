import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { checkCluster } from './check-cluster.ts';
import { type Answers, answered, clusterChecks, fakeProbe } from './cluster-for-tests.ts';
import { detectedEtcd } from './detected-for-tests.ts';
import { noPatience } from './no-patience-for-tests.ts';
import { folderOf, testAuthority } from './pki-for-tests.ts';
import type { Probe } from './probe.ts';

const signal = new AbortController().signal;

const { authority, expectation, check } = await clusterChecks();

describe('checkCluster', () => {
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
