import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { chainsTo, parseCertificate } from '../../common/x509/certificate.ts';
import { generateKey, type PrivateKey, publicKeyPin } from '../../common/x509/keys.ts';
import { EnrollNodeRequestSchema } from '../../proto/gen/kubemtls/v1/enrollment_pb.js';
import { NodeRole } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { Authorities } from '../authority/authorities.ts';
import type { IssueDeps } from '../issue/issue-deps.ts';
import { sampleAuthorities, sampleConfig, sampleCsr, startMs } from '../policy/policy-for-tests.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store, TokenRecord } from '../store/store.ts';
import { sampleIntent, sampleNode, sampleToken } from '../store/store-contract.ts';
import { hashSecret } from '../token/token-text.ts';
import { createEnrolNode, type EnrolNode } from './enrol-node.ts';

const secret = 'a1'.repeat(16);
const minuteMs = 60_000;
const refused = (reason: Reason, text: RegExp) => (error: unknown) =>
  error instanceof AppError && error.reason === reason && text.test(error.message);

describe('enrolNode', () => {
  let authorities: Authorities;
  let key: PrivateKey;
  let otherKey: PrivateKey;
  let clock: FakeClock;
  let store: Store;
  let deps: IssueDeps;
  let enrolNode: EnrolNode;
  before(async () => {
    authorities = await sampleAuthorities();
    key = await generateKey('ecdsa-p256');
    otherKey = await generateKey('ecdsa-p256');
  });
  beforeEach(() => {
    clock = new FakeClock(startMs);
    store = openSqliteStore(':memory:', clock);
    deps = { store, authorities, config: sampleConfig(), clock };
    enrolNode = createEnrolNode(deps);
  });
  afterEach(() => store.close());

  const token = (fields: Partial<TokenRecord> = {}) =>
    store.insertToken(
      sampleToken({
        id: 'token001',
        secretSha256: hashSecret(secret),
        nodeNames: [],
        addresses: [],
        sourceNetworks: [],
        expiresAtMs: startMs + 60 * minuteMs,
        maxUses: 1,
        ...fields,
      }),
    );
  interface Attempt {
    authorization?: string | undefined;
    address?: string;
    name?: string;
    key?: PrivateKey;
    csr?: Uint8Array;
  }
  const attempt = (fields: Attempt = {}) =>
    enrolNode(
      {
        authorization: 'authorization' in fields ? fields.authorization : `Bearer token001.${secret}`,
        address: fields.address ?? '10.0.0.11',
      },
      create(EnrollNodeRequestSchema, {
        nodeName: fields.name ?? 'w1',
        csr: fields.csr ?? sampleCsr(fields.key ?? key),
        agentVersion: '0.1.0',
      }),
    );
  const events = async (kind: string) => (await store.listEvents({ kind }, { size: 100, after: undefined })).rows;

  it('makes a node of whoever has a token: identity, record, one use, audit', async () => {
    await token();
    const response = await attempt({ csr: sampleCsr(key, { commonName: 'cp1', dnsNames: ['cp1'] }) });
    const certificate = parseCertificate(response.certificatePem);
    assert.deepEqual(certificate.uris, ['spiffe://lab/node/w1']);
    assert.deepEqual(certificate.dnsNames, []);
    assert.equal(chainsTo(certificate, authorities.roots('fleet'), new Date(startMs)), undefined);
    assert.equal(response.fleetRootsPem, authorities.rootsPem('fleet'));
    assert.equal(response.fleetEndpoint, '10.0.0.1:9444');
    assert.equal(response.role, NodeRole.WORKER);
    assert.deepEqual(response.addresses, ['10.0.0.11']);
    assert.deepEqual(
      await store.getNode('w1'),
      sampleNode({
        identityPin: publicKeyPin(key.publicKey),
        identitySerial: certificate.serial,
        identityNotAfterMs: certificate.notAfter.getTime(),
        enrolledAtMs: startMs,
        lastSeenAtMs: startMs,
      }),
    );
    assert.equal((await store.getToken('token001'))?.uses, 1);
    assert.equal((await store.getCertificate('fleet', certificate.serial))?.state, 'issued');
    const [accepted] = await events('enrol.accepted');
    assert.deepEqual([accepted?.actor, accepted?.node, accepted?.source], ['token/token001', 'w1', '10.0.0.11']);
  });

  it('records the addresses that the operator gave, whatever the connection shows', async () => {
    await token({ addresses: ['192.0.2.5', 'fd00::5'] });
    assert.deepEqual((await attempt({ address: '127.0.0.1' })).addresses, ['192.0.2.5', 'fd00::5']);
  });

  it('takes the header in the form that HTTP allows, and IPv4 in IPv6 as IPv4', async () => {
    await token({ sourceNetworks: ['10.0.0.0/24'] });
    const response = await attempt({ authorization: `bearer  token001.${secret}`, address: '::ffff:10.0.0.11' });
    assert.deepEqual(response.addresses, ['10.0.0.11']);
  });

  describe('tells a caller without a good token nothing but that, and the audit why', () => {
    const cases: [what: string, prepare: () => unknown, authorization: string | undefined, audited: RegExp][] = [
      ['no token', () => token(), undefined, /^no token was given$/],
      ['an empty header', () => token(), '', /malformed/],
      ['another scheme', () => token(), `Basic token001.${secret}`, /malformed/],
      ['no secret', () => token(), 'Bearer token001', /malformed/],
      ['an empty secret', () => token(), 'Bearer token001.', /malformed/],
      ['a token in capitals', () => token(), `Bearer TOKEN001.${secret}`, /malformed/],
      ['a long one', () => token(), `Bearer token001.${'a'.repeat(100_000)}`, /malformed/],
      ['a short identifier', () => token(), `Bearer token.${secret}`, /malformed/],
      ['more behind it', () => token(), `Bearer token001.${secret} x`, /malformed/],
      ['an unknown identifier', () => token(), `Bearer token002.${secret}`, /^the token is unknown$/],
      ['a wrong secret', () => token(), `Bearer token001.${'b1'.repeat(16)}`, /^the secret of the token is wrong$/],
      ['a longer secret', () => token(), `Bearer token001.${secret}0`, /^the secret of the token is wrong$/],
      ['a revoked token', () => token({ revoked: true }), `Bearer token001.${secret}`, /^the token was revoked$/],
      [
        'an expired token',
        () => token({ expiresAtMs: startMs }),
        `Bearer token001.${secret}`,
        /^the token has expired$/,
      ],
      ['a used-up token', () => token({ uses: 1 }), `Bearer token001.${secret}`, /^the token is used up$/],
    ];
    for (const [what, prepare, authorization, audited] of cases) {
      it(what, async () => {
        await prepare();
        const known = refused('unauthenticated', /^the token is not valid: make one with "kube-mtls token create/);
        await assert.rejects(attempt({ authorization }), known);
        const [event, ...more] = await events('enrol.refused');
        assert.equal(more.length, 0);
        assert.equal(event?.reason, 'unauthenticated');
        assert.match(event?.message ?? '', audited);
        assert.doesNotMatch(JSON.stringify(event), /a1a1a1|b1b1b1/);
        assert.equal(await store.getNode('w1'), undefined);
      });
    }
  });

  describe('refuses what a good token does not allow, and keeps its use', () => {
    const cases: [what: string, fields: Partial<TokenRecord>, attempted: Attempt, Reason, text: RegExp][] = [
      [
        'another name',
        { nodeNames: ['w2'] },
        {},
        'policy-refused',
        /not for a node called w1: make one with --node w1/,
      ],
      ['a name in another domain', { nodeNames: ['w*'] }, { name: 'w1.evil' }, 'policy-refused', /not for a node/],
      [
        'another network',
        { sourceNetworks: ['10.1.0.0/16'] },
        {},
        'policy-refused',
        /may not be used from 10\.0\.0\.11/,
      ],
      ['no name', {}, { name: '' }, 'invalid-request', /is not a node name/],
      ['a malformed name', {}, { name: 'W1' }, 'invalid-request', /is not a node name/],
      ['a path for a name', {}, { name: '../admin/root' }, 'invalid-request', /is not a node name/],
      ['the name of a service', {}, { name: 'kubernetes.default.svc' }, 'policy-refused', /is reserved/],
      ['the endpoint as a worker', {}, { name: 'lb.example' }, 'policy-refused', /name of the API server/],
      [
        'the service address',
        { addresses: ['10.96.0.1'] },
        {},
        'policy-refused',
        /10\.96\.0\.1 is a name of the API server/,
      ],
      ['junk for a request', {}, { csr: Buffer.from('junk') }, 'invalid-request', /certificate request/],
      ['loopback', {}, { address: '127.0.0.1' }, 'policy-refused', /with --address/],
      ['loopback in IPv6', {}, { address: '::1' }, 'policy-refused', /with --address/],
      ['loopback behind IPv6', {}, { address: '::ffff:7f00:1' }, 'policy-refused', /with --address/],
      ['no address', {}, { address: '0.0.0.0' }, 'policy-refused', /with --address/],
      ['a link-local address', {}, { address: 'fe80::1%eth0' }, 'policy-refused', /with --address/],
    ];
    for (const [what, fields, attempted, reason, text] of cases) {
      it(what, async () => {
        await token(fields);
        await assert.rejects(attempt(attempted), refused(reason, text));
        assert.equal((await store.getToken('token001'))?.uses, 0);
        assert.deepEqual(await store.listNodes(), []);
        const [event] = await events('enrol.refused');
        assert.deepEqual([event?.reason, event?.actor], [reason, 'token/token001']);
      });
    }
  });

  it('refuses an address where another node is at home, unless the operator gave it', async () => {
    await store.enrol({
      node: sampleNode({ name: 'cp1', role: 'control-plane', addresses: ['10.0.0.1'] }),
      useToken: undefined,
    });
    await token();
    await token({ id: 'token002', addresses: ['10.0.0.1'] });
    await assert.rejects(attempt({ address: '10.0.0.1' }), refused('policy-refused', /is the node cp1: .*--address/));
    const given = await attempt({ authorization: `Bearer token002.${secret}`, address: '10.0.0.1' });
    assert.deepEqual(given.addresses, ['10.0.0.1']);
  });

  it('refuses a key that somebody else holds', async () => {
    await token();
    await store.recordIntents([sampleIntent({ holder: 'cp1', publicKeyPin: publicKeyPin(key.publicKey) })]);
    await assert.rejects(attempt(), refused('policy-refused', /another holder/));
  });

  describe('of a name that is enrolled', () => {
    it('lets the same token with the same key try again for ten minutes, though it is used up', async () => {
      await token();
      const first = parseCertificate((await attempt()).certificatePem);
      await clock.advance(10 * minuteMs);
      const again = parseCertificate((await attempt()).certificatePem);
      assert.notEqual(again.serial, first.serial);
      const node = await store.getNode('w1');
      assert.deepEqual([node?.identitySerial, node?.enrolledAtMs], [again.serial, startMs]);
      assert.equal((await store.getToken('token001'))?.uses, 1);
      await clock.advance(1);
      await assert.rejects(attempt(), refused('unauthenticated', /not valid/));
    });

    it('lets nobody else use the token in this time: not another key, not another name', async () => {
      await token({ nodeNames: ['w*'] });
      await attempt();
      await assert.rejects(attempt({ key: otherKey }), refused('unauthenticated', /not valid/));
      await assert.rejects(attempt({ name: 'w2' }), refused('unauthenticated', /not valid/));
      assert.equal((await store.getNode('w1'))?.identityPin, publicKeyPin(key.publicKey));
    });

    it('does not let a revoked token be tried again', async () => {
      await token();
      await attempt();
      await store.revokeToken('token001');
      await assert.rejects(attempt(), refused('unauthenticated', /not valid/));
    });

    it('refuses another key with another token, and says what to do', async () => {
      await token({ maxUses: 5 });
      await attempt();
      await token({ id: 'token002' });
      for (const id of ['token001', 'token002']) {
        const taken = attempt({ key: otherKey, authorization: `Bearer ${id}.${secret}` });
        await assert.rejects(taken, refused('conflict', /enrolled with another key: .*--allow-reenroll/));
      }
      assert.equal((await store.getNode('w1'))?.identityPin, publicKeyPin(key.publicKey));
      assert.equal((await store.getToken('token002'))?.uses, 0);
    });

    it('takes its old key with a new token, and another one on the word of an operator', async () => {
      await token();
      await attempt();
      await clock.advance(20 * minuteMs);
      await token({ id: 'token002', role: 'control-plane' });
      assert.equal((await attempt({ authorization: `Bearer token002.${secret}` })).role, NodeRole.CONTROL_PLANE);
      assert.equal((await store.getNode('w1'))?.enrolledAtMs, clock.nowMs());
      await token({ id: 'token003', allowReenroll: true, nodeNames: ['w1'] });
      await attempt({ key: otherKey, authorization: `Bearer token003.${secret}` });
      assert.equal((await store.getNode('w1'))?.identityPin, publicKeyPin(otherKey.publicKey));
    });

    it('gives a revoked one nothing, even on such a word', async () => {
      await store.enrol({ node: sampleNode({ revoked: true }), useToken: undefined });
      await token({ allowReenroll: true, nodeNames: ['w1'] });
      await assert.rejects(attempt(), refused('node-revoked', /w1/));
    });

    it('lets one of two win that ask at once', async () => {
      await token({ maxUses: 5 });
      const results = await Promise.allSettled([attempt(), attempt({ key: otherKey })]);
      assert.deepEqual(
        results.map((result) => result.status),
        ['fulfilled', 'rejected'],
      );
      assert.equal((await store.getNode('w1'))?.identityPin, publicKeyPin(key.publicKey));
    });
  });

  it('finishes after a crash between record and signature, when the node asks again', async () => {
    await token();
    const broken = createEnrolNode({
      ...deps,
      authorities: {
        ...authorities,
        signer: () => {
          throw new Error('the power went out');
        },
      },
    });
    const request = create(EnrollNodeRequestSchema, { nodeName: 'w1', csr: sampleCsr(key) });
    await assert.rejects(
      broken({ authorization: `Bearer token001.${secret}`, address: '10.0.0.11' }, request),
      /power/,
    );
    assert.equal((await store.getToken('token001'))?.uses, 1);
    assert.ok((await attempt()).certificatePem);
    assert.equal((await store.getToken('token001'))?.uses, 1);
  });

  describe('slows down', () => {
    const wrong = { authorization: `Bearer token001.${'b1'.repeat(16)}` };

    it('a source after ten refusals, for good tokens too, and says how long; the audit stays small', async () => {
      await token();
      for (let tries = 0; tries < 10; tries++) await assert.rejects(attempt(wrong), refused('unauthenticated', /./));
      for (let tries = 0; tries < 50; tries++) {
        await assert.rejects(attempt(), (error) => {
          return error instanceof AppError && error.reason === 'rate-limited' && error.retryAfterMs === minuteMs;
        });
      }
      assert.equal((await events('enrol.refused')).length, 10);
      await clock.advance(minuteMs);
      assert.ok((await attempt()).certificatePem);
    });

    it('a whole IPv6 network of one host, and no other source', async () => {
      await token();
      for (let tries = 0; tries < 10; tries++) {
        await assert.rejects(attempt({ ...wrong, address: `fd00::${tries}` }), refused('unauthenticated', /./));
      }
      await assert.rejects(attempt({ address: 'fd00::ffff:1' }), refused('rate-limited', /./));
      assert.ok((await attempt({ address: 'fd00:0:0:1::1' })).certificatePem);
    });

    it('guesses at one token from many sources', async () => {
      await token();
      for (let tries = 0; tries < 30; tries++) {
        await assert.rejects(attempt({ ...wrong, address: `10.9.${tries}.1` }), refused('unauthenticated', /./));
      }
      await assert.rejects(attempt(), refused('rate-limited', /./));
      await clock.advance(minuteMs / 2);
      assert.ok((await attempt()).certificatePem);
    });
  });
});
