import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { BACKDATED_MS } from '../../common/x509/life.ts';
import { type RenewedSlot, renewalMs, whyDue } from './due.ts';
import { lifetimeMs, makeAuthority, nowMs } from './fake-authorities.ts';
import { FakeCluster } from './fake-cluster.ts';
import type { WishedSlot } from './wish.ts';

const slot: WishedSlot = {
  profile: 'etcd-server',
  file: 'server',
  dnsNames: ['cp1'],
  ipAddresses: ['10.0.0.1', '::1'],
};

async function installed(
  names = ['cp1', 'more'],
  addresses = ['10.0.0.1', '::1'],
  issuer: 'etcd' | 'kubernetes' | 'impostor' = 'etcd',
) {
  const cluster = await FakeCluster.controlPlane();
  try {
    const signers = [parseCertificate(cluster.rootPem('etcd'))];
    if (issuer === 'impostor') cluster.signers.set('etcd', await makeAuthority('etcd'));
    const { pem } = await cluster.issue(issuer === 'impostor' ? 'etcd' : issuer, names, addresses);
    return { pem, signers };
  } finally {
    await cluster.remove();
  }
}

describe('whyDue', () => {
  const rows: [
    string,
    Partial<{ atMs: number; keyMatches: boolean; pem: string }>,
    Parameters<typeof installed>,
    RegExp,
  ][] = [
    ['a name is missing', {}, [['other'], ['10.0.0.1', '::1']], /^names changed: cp1 missing$/],
    ['an address is missing', {}, [['cp1'], ['::1']], /^names changed: 10\.0\.0\.1 missing$/],
    ['another CA of the same name signed it', {}, [undefined, undefined, 'impostor'], /^issuer changed: CN=etcd/],
    ['another CA signed it', {}, [undefined, undefined, 'kubernetes'], /^issuer changed: CN=kubernetes/],
    ['the key is another', { keyMatches: false }, [], /^key missing/],
    ['it is garbage', { pem: 'x' }, [], /^unreadable$/],
    ['two thirds are over', { atMs: nowMs + lifetimeMs * 0.667 }, [], /^expires 2026-04-01T/],
    ['it has expired', { atMs: nowMs + lifetimeMs }, [], /^expired 2026-04-01T/],
  ];
  for (const [what, { atMs = nowMs, keyMatches = true, pem }, made, want] of rows) {
    it(`is due when ${what}`, async () => {
      const { pem: good, signers } = await installed(...made);
      const certificate = { file: 'server', pem: pem ?? good, keyMatches };
      assert.match(whyDue({ slot, installed: certificate, signers, nodeName: 'cp1', nowMs: atMs }) ?? '', want);
    });
  }

  it('is good with more names than wanted until its time comes', async () => {
    const { pem, signers } = await installed();
    const certificate = { file: 'server', pem, keyMatches: true };
    const why = (atMs: number) => whyDue({ slot, installed: certificate, signers, nodeName: 'cp1', nowMs: atMs });
    assert.equal(why(nowMs), undefined);
    assert.equal(why(nowMs + lifetimeMs * 0.566), undefined);
  });

  it('is due when there is none', () => {
    assert.equal(whyDue({ slot, installed: undefined, signers: [], nodeName: 'cp1', nowMs }), 'missing');
  });
});

describe('renewalMs', () => {
  it('lies up to a tenth of the lifetime before two thirds of it, spread over nodes and the same for one', () => {
    const certificate = { notBefore: new Date(-BACKDATED_MS), notAfter: new Date(3_000_000) };
    const at = (index: number) =>
      renewalMs(certificate, { nodeName: `node-${index}`, profile: 'etcd-server', file: 'server' });
    const times = Array.from({ length: 500 }, (_, index) => at(index));
    assert.ok(times.every((time) => time > 1_700_000 && time <= 2_000_000));
    assert.ok(Math.max(...times) - Math.min(...times) > 250_000);
    assert.equal(at(7), times[7]);
  });

  const minute = 60_000;
  const ofLife = (minutes: number, profile: RenewedSlot['profile']) => {
    const certificate = { notBefore: new Date(-BACKDATED_MS), notAfter: new Date(minutes * minute) };
    return Array.from({ length: 100 }, (_, index) =>
      renewalMs(certificate, { nodeName: `n${index}`, profile, file: 'x' }),
    );
  };
  it('leaves client-go the five minutes after which it looks at its files, also where a third of the life is less', () => {
    assert.ok(ofLife(10, 'kube-apiserver-kubelet-client').every((time) => time > 2.9 * minute && time <= 4 * minute));
    assert.deepEqual(
      ofLife(10, 'etcd-server').every((time) => time > 5.6 * minute),
      true,
    );
    assert.ok(ofLife(60, 'kube-apiserver-kubelet-client').every((time) => time > 33 * minute && time <= 40 * minute));
  });
});
