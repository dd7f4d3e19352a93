import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { layoutBelow } from '../../agent/layout.ts';
import { checkCluster } from '../../agent/verify/check-cluster.ts';
import { checkHandshake } from '../../agent/verify/check-handshake.ts';
import { detectedApiserver } from '../../agent/verify/detected-for-tests.ts';
import { type EtcdAccess, etcdHealth, listMembers, updateMember } from '../../agent/verify/etcd-members.ts';
import type { Expectation } from '../../agent/verify/expectation.ts';
import { noPatience } from '../../agent/verify/no-patience-for-tests.ts';
import { probeAsPeer } from '../../agent/verify/peer-probe.ts';
import { folderOf, type TestAuthority, type TestLeaf, testAuthority } from '../../agent/verify/pki-for-tests.ts';
import { probe } from '../../agent/verify/probe.ts';
import { verifyOld } from '../../agent/verify/verify-old.ts';
import { systemClock } from '../../common/time/clock.ts';
import { makeBaseImage } from '../lab/made-once.ts';
import { type Member, type StartMode, startEtcd } from './one-etcd.ts';

const deps = { clock: systemClock, probe };
const signal = new AbortController().signal;

describe('verification of a real etcd', { timeout: 120_000 }, () => {
  let authority: TestAuthority;
  let leaves: Record<'server' | 'peer' | 'healthcheck-client', TestLeaf>;

  before(async () => {
    await makeBaseImage(console.log);
    authority = await testAuthority('etcd-ca');
    leaves = {
      server: await authority.issue({ commonName: 'cp1' }),
      peer: await authority.issue({ commonName: 'cp1' }),
      'healthcheck-client': await authority.issue({ commonName: 'kube-etcd-healthcheck-client', usages: ['client'] }),
    };
  });

  const expectation = (member: Member, change: Partial<Expectation> = {}): Expectation => ({
    detected: member.detected,
    folder: member.folder,
    serials: new Map(Object.entries(leaves).map(([file, leaf]) => [file, leaf.serial])),
    target: 'enforced',
    live: false,
    rootsPem: new Map([['etcd' as const, authority.rootsPem]]),
    ...change,
  });
  const secureAccess = (member: Member): EtcdAccess => {
    return { url: member.clientUrl, tls: { rootsPem: authority.rootsPem, client: leaves['healthcheck-client'] } };
  };
  const start = (test: TestContext, mode: StartMode) => startEtcd(test, mode, leaves, authority.rootsPem);

  it('passes with mutual TLS on both listeners', async (test) => {
    const member = await start(test, 'mutual');
    const handshake = await checkHandshake(deps, expectation(member), noPatience, signal);
    assert.equal(handshake.result, 'passed', JSON.stringify(handshake, undefined, 2));
    const lines = handshake.evidence.map(({ source, line }) => `${source}: ${line}`).join('\n');
    assert.match(
      lines,
      new RegExp(`healthcheck-client: answered 200 over TLSv1.3 with serial ${leaves.server.serial}`),
    );
    assert.match(lines, new RegExp(`peer certificate: answered 200 over TLSv1.3 with serial ${leaves.peer.serial}`));
    assert.equal(lines.match(/without certificate: refused by tls-alert/g)?.length, 2, lines);
    const cluster = await checkCluster(deps, expectation(member), 0, noPatience, signal);
    assert.equal(cluster.result, 'passed', JSON.stringify(cluster, undefined, 2));
    assert.match(cluster.summary, /has a leader and 1 members/);
  });

  it('fails when another certificate is served than was issued', async (test) => {
    const member = await start(test, 'mutual');
    const other = new Map([
      ['server', 'abc'],
      ['peer', leaves.peer.serial],
    ]);
    const outcome = await checkHandshake(deps, expectation(member, { serials: other }), noPatience, signal);
    assert.equal(outcome.result, 'failed');
    assert.match(outcome.summary, /instead of the new certificate with serial abc/);
  });

  it('fails when callers without a certificate are let in', async (test) => {
    const member = await start(test, 'tls-only');
    const outcome = await checkHandshake(deps, expectation(member), noPatience, signal);
    assert.equal(outcome.result, 'failed');
    assert.match(outcome.summary, /without certificate: answered 200 .* instead of a refusal in TLS/);
  });

  it('fails when it still speaks plaintext', async (test) => {
    const member = await start(test, 'plaintext');
    const outcome = await checkHandshake(deps, expectation(member), noPatience, signal);
    assert.equal(outcome.result, 'failed');
    const lines = outcome.evidence.map(({ line }) => line).join('\n');
    assert.match(lines, /etcd still answered 200 over plaintext/);
  });

  it('fails when it speaks plaintext besides mutual TLS on one port, for that alone', async (test) => {
    const member = await start(test, 'mutual-and-plaintext');
    const outcome = await checkHandshake(deps, expectation(member), noPatience, signal);
    assert.equal(outcome.result, 'failed');
    assert.match(outcome.summary, /^[^;]*plaintext: etcd still answered 200 over plaintext$/);
  });

  it('fails when its CA file is garbage, although it is up and refuses everybody', async (test) => {
    const member = await start(test, 'garbage-ca');
    const outcome = await checkHandshake(deps, expectation(member), noPatience, signal);
    assert.equal(outcome.result, 'failed');
    assert.match(outcome.summary, /healthcheck-client: refused by tls-alert/);
  });

  it('skips the handshake of a prepared member, which is healthy over plaintext', async (test) => {
    const member = await start(test, 'plaintext');
    const handshake = await checkHandshake(deps, expectation(member, { target: 'prepared' }), noPatience, signal);
    assert.equal(handshake.result, 'skipped');
    assert.match(handshake.evidence[0]?.line ?? '', /answered 200 over plaintext/);
    const cluster = await checkCluster(deps, expectation(member, { target: 'prepared' }), 0, noPatience, signal);
    assert.equal(cluster.result, 'passed', JSON.stringify(cluster, undefined, 2));
  });

  it('lists members and changes their peer URLs over plaintext and over mutual TLS', async (test) => {
    for (const mode of ['plaintext', 'mutual'] as const) {
      const member = await start(test, mode);
      const access = mode === 'mutual' ? secureAccess(member) : { url: member.clientUrl };
      const cluster = await listMembers(access, signal);
      assert.match(cluster.clusterId, /^[0-9a-f]+$/);
      assert.equal(cluster.members.length, 1);
      assert.equal(cluster.members[0]?.id, cluster.memberId);
      assert.equal(cluster.members[0]?.name, 'cp1');
      assert.deepEqual(cluster.members[0]?.clientUrls, [member.clientUrl]);
      await updateMember(access, cluster.memberId, ['https://10.9.8.7:2380'], signal);
      const after = await listMembers(access, signal);
      assert.deepEqual(after.members[0]?.peerUrls, ['https://10.9.8.7:2380']);
      const health = await etcdHealth(access, signal);
      assert.equal(health.healthy, true);
      assert.equal(health.leaderId, cluster.memberId);
    }
  });

  it('tells a member that does not exist from one that cannot be reached or that refuses', async (test) => {
    const member = await start(test, 'mutual');
    const urls = ['https://10.9.8.7:2380'];
    await assert.rejects(updateMember(secureAccess(member), 'abc', urls, signal), { reason: 'not-found' });
    const strange: EtcdAccess = { ...secureAccess(member), tls: { rootsPem: authority.rootsPem, client: undefined } };
    await assert.rejects(listMembers(strange, signal), { reason: 'unavailable', message: /refused by tls-alert/ });
    const closed = { url: 'http://127.0.0.1:1' };
    await assert.rejects(listMembers(closed, signal), { reason: 'unavailable', message: /unreachable/ });
    assert.equal((await etcdHealth(closed, signal)).healthy, false);
  });

  it('knows the certificate from before the change again, and plaintext', async (test) => {
    const run = async () => ({ code: 0, stdout: activeUnit, stderr: '' });
    let nowMs = 0;
    const clock = {
      nowMs: () => nowMs,
      monotonicMs: () => nowMs,
      sleep: async (ms: number) => {
        nowMs += ms;
      },
    };
    const verify = (member: Member, served: { sha256: string } | 'plaintext') =>
      verifyOld({ clock, probe, run, layout: layoutBelow() }, { detected: member.detected, served }, signal);
    const secure = await start(test, 'mutual');
    const seen = await probe({ ...addressOf(secure.clientUrl), ...unverified, signal });
    assert.equal(seen.kind, 'refused');
    const { sha256 } = seen.served ?? assert.fail('it showed no certificate');
    assert.deepEqual(results(await verify(secure, { sha256 })), ['passed', 'passed']);
    assert.deepEqual(results(await verify(secure, { sha256: 'abc' })), ['passed', 'failed']);
    assert.deepEqual(results(await verify(secure, 'plaintext')), ['passed', 'failed']);
    const plain = await start(test, 'plaintext');
    assert.deepEqual(results(await verify(plain, 'plaintext')), ['passed', 'passed']);
  });

  it('an API server on another node confirms it with its own etcd files, or complains', async (test) => {
    const member = await start(test, 'mutual');
    const { host, port } = addressOf(member.clientUrl);
    const strangers = await testAuthority('etcd-ca');
    const folder = await folderOf(test, {
      client: leaves['healthcheck-client'],
      stranger: await strangers.issue({ usages: ['client'] }),
    });
    await writeFile(join(folder, 'ca.crt'), authority.rootsPem);
    await writeFile(join(folder, 'old-ca.crt'), strangers.rootsPem);
    const word = (ca: string, client: string, serial = leaves.server.serial) => {
      const detected = detectedApiserver({
        'etcd-servers': member.clientUrl,
        'etcd-cafile': join(folder, ca),
        'etcd-certfile': join(folder, `${client}.crt`),
        'etcd-keyfile': join(folder, `${client}.key`),
      });
      return probeAsPeer(deps, { component: 'etcd', endpoints: [`${host}:${port}`], serial }, [detected], signal);
    };
    assert.deepEqual(counts(await word('ca.crt', 'client')), { confirmations: 1, complaints: 0, notes: 0 });
    assert.deepEqual(counts(await word('old-ca.crt', 'client')), { confirmations: 0, complaints: 1, notes: 0 });
    assert.deepEqual(counts(await word('ca.crt', 'stranger')), { confirmations: 0, complaints: 1, notes: 0 });
    assert.deepEqual(counts(await word('ca.crt', 'client', 'abc')), { confirmations: 0, complaints: 1, notes: 0 });
  });
});

const activeUnit = `ActiveState=active\nSubState=running\nMainPID=7\nInvocationID=${'a'.repeat(32)}\nNRestarts=0\n`;

const unverified = {
  tls: { trust: { kind: 'unverified' } },
  method: 'GET',
  path: '/health',
  timeoutMs: 5000,
} as const;

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

function results(outcomes: readonly { result: string }[]): string[] {
  return outcomes.map(({ result }) => result);
}

function counts(word: { confirmations: unknown[]; complaints: unknown[]; notes: unknown[] }) {
  const { confirmations, complaints, notes } = word;
  return { confirmations: confirmations.length, complaints: complaints.length, notes: notes.length };
}
