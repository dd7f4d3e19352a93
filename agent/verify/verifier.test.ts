import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { FindingLog } from '../journal/finding-log.ts';
import { layoutBelow } from '../layout.ts';
import { FakeLink } from '../link/fake-link.ts';
import type { RestartedChange } from '../restart/restart-units.ts';
import type { ChangeRecord } from '../stage/change-record.ts';
import { fakeSigned, makeChange, makeNode } from '../stage/fake-change.ts';
import type { CheckOutcome, EvidenceLine } from './checks.ts';
import { OwnCalls } from './own-calls.ts';
import type { Probe } from './probe.ts';
import { failureOf, Verifier } from './verifier.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-verifier-'));
after(() => rmSync(parent, { recursive: true }));

const signal = new AbortController().signal;
const line: EvidenceLine = {
  source: 'journal etcd.service',
  line: 'x509: unknown authority',
  observedAtMs: 0,
  cause: '',
  rank: 'hint',
};

/** A change of etcd and API server after its restart, on a node where every probe ends the same way. */
async function begin(probe: Probe, restarts: { component: Component; ok: boolean }[], ok: boolean) {
  const change = await makeChange(await makeNode(parent));
  const signed = fakeSigned(change);
  const clock = new FakeClock();
  const link = new FakeLink(new Map());
  const verifier = new Verifier({
    ...{ clock, probe, link, findings: new FindingLog(clock), own: new OwnCalls(clock), offsetMs: () => 0 },
    layout: layoutBelow('/nowhere'),
    run: async () => ({ code: 0, stdout: 'ActiveState=failed\nMainPID=0\n', stderr: '' }),
    judgeJournal: async () => ({ kind: 'journal', result: 'failed', summary: 'distrusted', evidence: [line] }),
    endpointsOf: () => ['10.0.0.1:2379'],
    sharedEndpointsOf: () => [],
  });
  const units = restarts.map((restart) => ({
    ...{ process: { kind: 'unit' as const, unit: `${restart.component}.service` }, live: false },
    ...{ unit: `${restart.component}.service`, cursor: 'c', startedAtMs: 0, invocationId: 'aa', detail: 'exit-code' },
    ...restart,
  }));
  const record = {} as ChangeRecord; // verification does not look at it
  const restarted: RestartedChange = { stage: 'restarted', change, record, units, leftStopped: [], ok };
  return { verifier, change, link, subject: { signed, restarted, permit: { permitId: 'p1' } } };
}

const unreachable: Probe = async () => ({ kind: 'unreachable', detail: 'connect ECONNREFUSED' });

describe('Verifier', () => {
  it('says of components that were not restarted, since another failed, that they failed too; asks no peer', async () => {
    const { verifier, link, subject } = await begin(unreachable, [{ component: 'etcd', ok: false }], false);
    const { ok, reason, checks } = await verifier.verify(subject, signal);
    assert.equal(ok, false);
    assert.equal(reason, 'etcd: journal check failed: distrusted | journal etcd.service: x509: unknown authority');
    assert.deepEqual(
      checks.get('kube-apiserver')?.map(({ kind, result }) => [kind, result]),
      [['unit', 'failed']],
    );
    assert.deepEqual(link.asked, []);
  });

  it('skips units that were left stopped', async () => {
    const { verifier, link, subject } = await begin(unreachable, [], true);
    const { ok, checks } = await verifier.verify(subject, signal);
    assert.equal(ok, true);
    assert.deepEqual(
      [...checks.values()].map(([check]) => check?.result),
      ['skipped', 'skipped'],
    );
    assert.deepEqual(link.asked, []);
  });

  it('remembers what is served, and checks nothing afterwards that did not answer before', async () => {
    const { verifier, change } = await begin(unreachable, [], true);
    const before = await verifier.remember(change, signal);
    assert.deepEqual(
      before.components.map(({ served }) => served),
      ['nothing', 'nothing'],
    );
    assert.equal((await verifier.verifyBefore(before, signal)).size, 0);
  });

  it('remembers a certificate by its fingerprint, and plaintext as such', async () => {
    const served = { serial: '1a', sha256: 'ab', notAfterMs: 0, issuer: '', tlsVersion: 'TLSv1.3' };
    const probe: Probe = async ({ port, tls }) => {
      if (port === 6443) return { kind: 'refused', by: 'tls-alert', detail: '', served };
      if (tls !== undefined) return { kind: 'refused', by: 'reset', detail: '', served: undefined };
      return { kind: 'answered', status: 404, body: '', served: undefined };
    };
    const { verifier, change } = await begin(probe, [], true);
    const { components } = await verifier.remember(change, signal);
    assert.deepEqual(
      components.map((each) => each.served),
      ['plaintext', { sha256: 'ab' }],
    );
  });
});

describe('failureOf', () => {
  const check = (kind: CheckOutcome['kind'], result: CheckOutcome['result'], evidence = [line]): CheckOutcome => {
    return { kind, result, summary: `of ${kind}`, evidence };
  };

  it('is nothing when nothing failed', () => {
    assert.equal(failureOf(new Map()), undefined);
    assert.equal(failureOf(new Map([['etcd', [check('unit', 'passed'), check('peers', 'skipped')]]])), undefined);
  });

  it('names the journal or the peers first, which tell most, with the line', () => {
    for (const kind of ['journal', 'peers'] as const) {
      const checks = [check('handshake', 'failed'), check(kind, 'failed')];
      const words = `etcd: ${kind} check failed: of ${kind} | journal etcd.service: x509: unknown authority`;
      assert.equal(failureOf(new Map([['etcd', checks]])), words);
    }
  });

  it('is the first failure of any component, also one without a line', () => {
    const checks = new Map<Component, CheckOutcome[]>([
      ['etcd', [check('unit', 'passed')]],
      ['kube-apiserver', [check('handshake', 'failed', [])]],
    ]);
    assert.equal(failureOf(checks), 'kube-apiserver: handshake check failed: of handshake');
  });

  it('tells with a failed proof what the log says of it, though that decides nothing', () => {
    const proof = { ...line, source: 'handshake 127.0.0.1:2379', line: 'refused by TLS alert', rank: 'proof' as const };
    const hint = { ...line, line: 'rejected connection', cause: 'unknown-authority' };
    const checks = [check('handshake', 'failed', [proof]), check('journal', 'passed', [line, hint])];
    assert.equal(
      failureOf(new Map([['etcd', checks]])),
      'etcd: handshake check failed: of handshake | journal etcd.service: rejected connection',
    );
  });
});
