import assert from 'node:assert/strict';
import { before, beforeEach, describe, it } from 'node:test';
import { FakeClock } from '../common/time/fake-clock.ts';
import { parseCertificate } from '../common/x509/certificate.ts';
import { generateKey, type PrivateKey } from '../common/x509/keys.ts';
import { type CertificateFields, createAuthority, type Signer, signCertificate } from '../common/x509/sign.ts';
import { type Admit, createAdmit } from './authenticate.ts';
import { openSqliteStore } from './store/sqlite-store.ts';
import type { Store } from './store/store.ts';
import { sampleIntent, sampleNode } from './store/store-contract.ts';

const MINUTE_MS = 60_000;
const ISSUE = 'kubemtls.v1.CertificateService/IssueCertificates';
const STATUS = 'kubemtls.v1.FleetService/GetFleetStatus';
let fleet: Signer;
let key: PrivateKey;
let clock: FakeClock;
let store: Store;
let admit: Admit;

before(async () => {
  const validity = { notBefore: new Date(Date.UTC(2025, 0, 1)), notAfter: new Date(Date.UTC(2035, 0, 1)) };
  fleet = await createAuthority({ commonName: 'fleet', serial: '1', algorithm: 'ecdsa-p256', ...validity });
  key = await generateKey('ecdsa-p256');
});

beforeEach(async () => {
  clock = new FakeClock();
  store = openSqliteStore(':memory:', clock);
  admit = createAdmit({ store, clock, trustDomain: 'prod' });
  const node = sampleNode({ name: 'w1', identitySerial: 'a1', enrolledAtMs: clock.nowMs() });
  await store.enrol({ node, useToken: undefined });
  await store.putAdmin({ name: 'root', role: 'admin', serial: 'b1' });
});

describe('authentication', () => {
  it('makes a caller of a node with the identity on record', async () => {
    const caller = await call({ serial: 'a1', uris: ['spiffe://prod/node/w1'] });
    assert.deepEqual(caller, { kind: 'node', name: 'w1', serial: 'a1', address: '10.0.0.9' });
  });

  it('makes a caller of an administrator, with the role of the record', async () => {
    await store.putAdmin({ name: 'root', role: 'viewer', serial: 'b1' });
    const caller = await call({ serial: 'b1', uris: ['spiffe://prod/admin/root'] }, STATUS);
    assert.equal(caller.kind === 'admin' && caller.role, 'viewer');
  });

  const strangers: [string, Partial<CertificateFields>][] = [
    ['no URI', { uris: [] }],
    ['two URIs', { uris: ['spiffe://prod/node/w1', 'spiffe://prod/admin/root'] }],
    ['another trust domain', { uris: ['spiffe://test/node/w1'] }],
    ['a trust domain that only begins like ours', { uris: ['spiffe://prod.evil/node/w1'] }],
    ['a path below a node', { uris: ['spiffe://prod/node/w1/admin/root'] }],
    ['no name', { uris: ['spiffe://prod/node/'] }],
    ['another kind', { uris: ['spiffe://prod/server/w1'] }],
    ['server usage only', { usages: ['server'] }],
    ['an older serial that was never issued', { serial: 'a0' }],
    ['the serial of the node under the name of an administrator', { uris: ['spiffe://prod/admin/root'] }],
    ['an administrator that is none', { uris: ['spiffe://prod/admin/eve'] }],
    ['an end in the past', { notAfter: new Date(Date.UTC(2025, 5, 1)) }],
    ['the rights of a CA', { ca: true }],
  ];
  for (const [what, fields] of strangers) {
    it(`refuses a certificate with ${what}, and writes it down`, async () => {
      const base = { serial: 'a1', uris: ['spiffe://prod/node/w1'] };
      await assert.rejects(call({ ...base, ...fields }), { reason: 'unauthenticated' });
      const [event] = (await store.listEvents({ kind: 'call.refused' }, { size: 9, after: undefined })).rows;
      assert.deepEqual([event?.reason, event?.source], ['unauthenticated', '10.0.0.9']);
    });
  }

  it('refuses a call without a certificate', async () => {
    const refused = admit({ method: STATUS, address: '10.0.0.9', peerCertificate: undefined });
    await assert.rejects(refused, { reason: 'unauthenticated' });
  });

  it('tells an unknown node from a revoked one', async () => {
    await assert.rejects(call({ serial: 'a1', uris: ['spiffe://prod/node/w2'] }), { reason: 'node-unknown' });
    await store.updateNode('w1', { revoked: true });
    await assert.rejects(call({ serial: 'a1', uris: ['spiffe://prod/node/w1'] }), { reason: 'node-revoked' });
  });

  for (const stepMs of [0, 60 * MINUTE_MS, -60 * MINUTE_MS]) {
    it(`writes the same refusal once a minute, also when the wall clock is set by ${stepMs} ms`, async () => {
      const refused = () => call({ serial: 'a0', uris: ['spiffe://prod/node/w1'] }).catch(() => {});
      const count = async () => (await store.listEvents({}, { size: 9, after: undefined })).rows.length;
      for (let round = 0; round < 3; round++) await refused();
      clock.step(stepMs);
      await clock.advance(MINUTE_MS - 1);
      await refused();
      assert.equal(await count(), 1);
      await clock.advance(1);
      await refused();
      assert.equal(await count(), 2);
    });
  }
});

describe('a renewed identity', () => {
  it('leaves the one before good until the new one is used', async () => {
    const old = await issueIdentity('a1', clock.nowMs());
    await clock.advance(10 * MINUTE_MS);
    const fresh = await issueIdentity('a2', clock.nowMs());
    await store.updateNode('w1', { identitySerial: 'a2', identityBefore: 'a1' });
    assert.equal((await present(old)).kind, 'node', 'the answer to the renewal may have been lost');
    assert.equal((await present(fresh)).kind, 'node');
    await assert.rejects(present(old), { reason: 'unauthenticated' });
    admit = createAdmit({ store, clock, trustDomain: 'prod' });
    await assert.rejects(present(old), { reason: 'unauthenticated' }, 'nor after a restart of the server');
  });

  it('leaves no other good that was replaced before', async () => {
    const older = await issueIdentity('a1', clock.nowMs());
    await issueIdentity('a2', clock.nowMs());
    await store.updateNode('w1', { identitySerial: 'a3', identityBefore: 'a2' });
    await assert.rejects(present(older), { reason: 'unauthenticated' });
  });

  it('is no way for the identity from before a new enrolment', async () => {
    const old = await issueIdentity('a1', clock.nowMs());
    await clock.advance(MINUTE_MS);
    await issueIdentity('a2', clock.nowMs());
    await store.enrol({ node: sampleNode({ name: 'w1', identitySerial: 'a2' }), useToken: undefined });
    await assert.rejects(present(old), { reason: 'unauthenticated' });
  });

  it('is no way for a certificate of another node, nor for one that only has the serial', async () => {
    await issueIdentity('c1', clock.nowMs(), 'w2');
    const other = sign({ serial: 'c1', uris: ['spiffe://prod/node/w1'] });
    await store.updateNode('w1', { identityBefore: 'c1' });
    await assert.rejects(present(other), { reason: 'unauthenticated' });
    await issueIdentity('a3', clock.nowMs());
    await store.updateNode('w1', { identityBefore: 'a3' });
    const forged = sign({ serial: 'a3', uris: ['spiffe://prod/node/w1'], notAfter: new Date(Date.UTC(2034, 0, 1)) });
    await assert.rejects(present(forged), { reason: 'unauthenticated' });
  });
});

describe('roles', () => {
  const methods = {
    node: ['AgentService/Session', 'AgentService/CheckPeers', ISSUE.replace('kubemtls.v1.', '')],
    viewer: [
      'AuthorityService/GetAuthorityRotation',
      'FleetService/GetNode',
      'FleetService/ListEvents',
      'RolloutService/GetRollout',
    ],
    operator: ['TokenService/CreateToken', 'TokenService/ListTokens', 'RolloutService/PauseRollout'],
    admin: [
      'AuthorityService/StartAuthorityRotation',
      'AuthorityService/AdvanceAuthorityRotation',
      'AuthorityService/AbortAuthorityRotation',
      'AuthorityService/RemoveNode',
    ],
  };
  const may: Record<string, string[]> = {
    node: methods.node,
    viewer: methods.viewer,
    operator: [...methods.viewer, ...methods.operator],
    admin: [...methods.viewer, ...methods.operator, ...methods.admin],
  };
  const all = [...Object.values(methods).flat(), 'AuthorityService/RevokeCertificate', 'FleetService/constructor'];
  for (const role of ['node', 'viewer', 'operator', 'admin'] as const) {
    for (const method of all) {
      const allowed = may[role]?.includes(method) ?? false;
      it(`${allowed ? 'let' : 'do not let'} a ${role} call ${method}`, async () => {
        if (role !== 'node') await store.putAdmin({ name: 'root', role, serial: 'b1' });
        const uris = [role === 'node' ? 'spiffe://prod/node/w1' : 'spiffe://prod/admin/root'];
        const made = call({ serial: role === 'node' ? 'a1' : 'b1', uris }, `kubemtls.v1.${method}`);
        if (allowed) await made;
        else await assert.rejects(made, { reason: 'policy-refused' });
      });
    }
  }
});

function call(fields: Partial<CertificateFields>, method = ISSUE) {
  return present(sign(fields), method);
}

function present(certificatePem: string, method = ISSUE) {
  const peerCertificate = parseCertificate(certificatePem).x509.raw;
  return admit({ method, address: '10.0.0.9', peerCertificate });
}

function sign(fields: Partial<CertificateFields>): string {
  return signCertificate(
    {
      serial: 'a1',
      commonName: 'anybody',
      organizations: [],
      publicKey: key.publicKey,
      notBefore: new Date(Date.UTC(2025, 0, 1)),
      notAfter: new Date(Date.UTC(2030, 0, 1)),
      usages: ['client'],
      dnsNames: [],
      ipAddresses: [],
      uris: [],
      ...fields,
    },
    fleet,
  );
}

async function issueIdentity(serial: string, nowMs: number, holder = 'w1'): Promise<string> {
  const pem = sign({ serial, uris: [`spiffe://prod/node/${holder}`], notBefore: new Date(nowMs - 5 * MINUTE_MS) });
  const { notBefore, sha256 } = parseCertificate(pem);
  const intent = sampleIntent({ serial, holder, authority: 'fleet', profile: undefined, publicKeyPin: serial });
  await store.recordIntents([{ ...intent, notBeforeMs: notBefore.getTime() }]);
  await store.recordIssued([{ authority: 'fleet', serial, sha256, pem }]);
  return pem;
}
