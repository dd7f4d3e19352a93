import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { generateKey, type PrivateKey, publicKeyPin } from '../../common/x509/keys.ts';
import { RenewIdentityRequestSchema } from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import type { Authorities } from '../authority/authorities.ts';
import type { Caller } from '../caller.ts';
import { sampleAuthorities, sampleConfig, sampleCsr, startMs } from '../policy/policy-for-tests.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { sampleIntent, sampleNode } from '../store/store-contract.ts';
import type { IssueDeps } from './issue-deps.ts';
import { renewIdentity } from './renew-identity.ts';

const refused = (reason: Reason, text: RegExp) => (error: unknown) =>
  error instanceof AppError && error.reason === reason && text.test(error.message);

describe('renewIdentity', () => {
  let authorities: Authorities;
  let first: PrivateKey;
  let second: PrivateKey;
  let store: Store;
  let deps: IssueDeps;
  before(async () => {
    authorities = await sampleAuthorities();
    first = await generateKey('ecdsa-p256');
    second = await generateKey('ecdsa-p256');
  });
  beforeEach(async () => {
    const clock = new FakeClock(startMs);
    store = openSqliteStore(':memory:', clock);
    deps = { store, authorities, config: sampleConfig(), clock };
    const identityPin = publicKeyPin(first.publicKey);
    await store.enrol({ node: sampleNode({ identityPin, identitySerial: '1' }), useToken: undefined });
    await store.recordIntents([
      sampleIntent({ authority: 'fleet', profile: undefined, serial: '1', publicKeyPin: identityPin }),
    ]);
  });
  afterEach(() => store.close());
  const callerWith = (serial: string): Caller => ({ kind: 'node', name: 'w1', serial, address: '10.0.0.11' });
  const renew = (key: PrivateKey, serial: string, names = {}) =>
    renewIdentity(deps, callerWith(serial), create(RenewIdentityRequestSchema, { csr: sampleCsr(key, names) }));

  it('certifies the new key as the same node, records it and says so', async () => {
    const response = await renew(second, '1', { commonName: 'cp1', dnsNames: ['cp1'] });
    const certificate = parseCertificate(response.certificatePem);
    assert.deepEqual(certificate.uris, ['spiffe://lab/node/w1']);
    assert.deepEqual(certificate.dnsNames, []);
    assert.equal(certificate.publicKeyPin, publicKeyPin(second.publicKey));
    assert.equal(response.fleetRootsPem, authorities.rootsPem('fleet'));
    const node = await store.getNode('w1');
    assert.equal(node?.identitySerial, certificate.serial);
    assert.equal(node?.identityPin, certificate.publicKeyPin);
    assert.equal(node?.identityNotAfterMs, certificate.notAfter.getTime());
    const kinds = (await store.listEvents({}, { size: 9, after: undefined })).rows.map((event) => event.kind);
    assert.deepEqual(kinds, ['identity.renewed', 'certificate.issued', 'certificate.intended']);
  });

  it('takes the key of a lost answer again from the identity before it', async () => {
    const lost = parseCertificate((await renew(second, '1')).certificatePem);
    const again = parseCertificate((await renew(second, '1')).certificatePem);
    assert.notEqual(again.serial, lost.serial);
    const node = await store.getNode('w1');
    assert.deepEqual([node?.identitySerial, node?.identityBefore], [again.serial, '1']);
  });

  it('refuses the key that the caller has, or had', async () => {
    await assert.rejects(renew(first, '1'), refused('invalid-request', /was used before/));
    const { serial } = parseCertificate((await renew(second, '1')).certificatePem);
    await assert.rejects(renew(second, serial), refused('invalid-request', /was used before/));
    await assert.rejects(renew(first, serial), refused('invalid-request', /was used before/));
  });

  it('refuses the key of another holder, a revoked node and an unknown one', async () => {
    const stolen = sampleIntent({ serial: '9', holder: 'cp1', publicKeyPin: publicKeyPin(second.publicKey) });
    await store.recordIntents([stolen]);
    await assert.rejects(renew(second, '1'), refused('policy-refused', /another holder/));
    await store.updateNode('w1', { revoked: true });
    await assert.rejects(renew(await generateKey('ecdsa-p256'), '1'), refused('node-revoked', /w1/));
    const stranger: Caller = { kind: 'node', name: 'ghost', serial: '1', address: '' };
    const request = create(RenewIdentityRequestSchema, { csr: sampleCsr(second) });
    await assert.rejects(renewIdentity(deps, stranger, request), refused('node-unknown', /ghost/));
    assert.equal((await store.getNode('w1'))?.identitySerial, '1');
  });
});
