import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { chainsTo, parseCertificate } from '../../common/x509/certificate.ts';
import { generateKey, type PrivateKey, publicKeyPin } from '../../common/x509/keys.ts';
import { NodeRole } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { Authorities } from '../authority/authorities.ts';
import { sampleAuthorities, sampleCsr, startMs } from '../policy/policy-for-tests.ts';
import type { TokenRecord } from '../store/store.ts';
import { sampleIntent, sampleNode } from '../store/store-contract.ts';
import { type Attempt, type EnrolFixture, enrolFixture, refused, secret } from './enrol-for-tests.ts';

describe('enrolNode', () => {
  let authorities: Authorities;
  let key: PrivateKey;
  let fixture: EnrolFixture;
  before(async () => {
    authorities = await sampleAuthorities();
    key = await generateKey('ecdsa-p256');
  });
  beforeEach(() => {
    fixture = enrolFixture(authorities, key);
  });
  afterEach(() => fixture.store.close());

  it('makes a node of whoever has a token: identity, record, one use, audit', async () => {
    await fixture.token();
    const response = await fixture.attempt({ csr: sampleCsr(key, { commonName: 'cp1', dnsNames: ['cp1'] }) });
    const certificate = parseCertificate(response.certificatePem);
    assert.deepEqual(certificate.uris, ['spiffe://lab/node/w1']);
    assert.deepEqual(certificate.dnsNames, []);
    assert.equal(chainsTo(certificate, authorities.roots('fleet'), new Date(startMs)), undefined);
    assert.equal(response.fleetRootsPem, authorities.rootsPem('fleet'));
    assert.equal(response.fleetEndpoint, '10.0.0.1:9444');
    assert.equal(response.role, NodeRole.WORKER);
    assert.deepEqual(response.addresses, ['10.0.0.11']);
    assert.deepEqual(
      await fixture.store.getNode('w1'),
      sampleNode({
        identityPin: publicKeyPin(key.publicKey),
        identitySerial: certificate.serial,
        identityNotAfterMs: certificate.notAfter.getTime(),
        enrolledAtMs: startMs,
        lastSeenAtMs: startMs,
      }),
    );
    assert.equal((await fixture.store.getToken('token001'))?.uses, 1);
    assert.equal((await fixture.store.getCertificate('fleet', certificate.serial))?.state, 'issued');
    const [accepted] = await fixture.events('enrol.accepted');
    assert.deepEqual([accepted?.actor, accepted?.node, accepted?.source], ['token/token001', 'w1', '10.0.0.11']);
  });

  it('records the addresses that the operator gave, whatever the connection shows', async () => {
    await fixture.token({ addresses: ['192.0.2.5', 'fd00::5'] });
    assert.deepEqual((await fixture.attempt({ address: '127.0.0.1' })).addresses, ['192.0.2.5', 'fd00::5']);
  });

  it('takes the header in the form that HTTP allows, and IPv4 in IPv6 as IPv4', async () => {
    await fixture.token({ sourceNetworks: ['10.0.0.0/24'] });
    const response = await fixture.attempt({
      authorization: `bearer  token001.${secret}`,
      address: '::ffff:10.0.0.11',
    });
    assert.deepEqual(response.addresses, ['10.0.0.11']);
  });

  describe('tells a caller without a good token nothing but that, and the audit why', () => {
    const cases: [what: string, prepare: () => unknown, authorization: string | undefined, audited: RegExp][] = [
      ['no token', () => fixture.token(), undefined, /^no token was given$/],
      ['an empty header', () => fixture.token(), '', /malformed/],
      ['another scheme', () => fixture.token(), `Basic token001.${secret}`, /malformed/],
      ['no secret', () => fixture.token(), 'Bearer token001', /malformed/],
      ['an empty secret', () => fixture.token(), 'Bearer token001.', /malformed/],
      ['a token in capitals', () => fixture.token(), `Bearer TOKEN001.${secret}`, /malformed/],
      ['a long one', () => fixture.token(), `Bearer token001.${'a'.repeat(100_000)}`, /malformed/],
      ['a short identifier', () => fixture.token(), `Bearer token.${secret}`, /malformed/],
      ['more behind it', () => fixture.token(), `Bearer token001.${secret} x`, /malformed/],
      ['an unknown identifier', () => fixture.token(), `Bearer token002.${secret}`, /^the token is unknown$/],
      [
        'a wrong secret',
        () => fixture.token(),
        `Bearer token001.${'b1'.repeat(16)}`,
        /^the secret of the token is wrong$/,
      ],
      ['a longer secret', () => fixture.token(), `Bearer token001.${secret}0`, /^the secret of the token is wrong$/],
      [
        'a revoked token',
        () => fixture.token({ revoked: true }),
        `Bearer token001.${secret}`,
        /^the token was revoked$/,
      ],
      [
        'an expired token',
        () => fixture.token({ expiresAtMs: startMs }),
        `Bearer token001.${secret}`,
        /^the token has expired$/,
      ],
      ['a used-up token', () => fixture.token({ uses: 1 }), `Bearer token001.${secret}`, /^the token is used up$/],
    ];
    for (const [what, prepare, authorization, audited] of cases) {
      it(what, async () => {
        await prepare();
        const known = refused('unauthenticated', /^the token is not valid: make one with "kube-mtls token create/);
        await assert.rejects(fixture.attempt({ authorization }), known);
        const [event, ...more] = await fixture.events('enrol.refused');
        assert.equal(more.length, 0);
        assert.equal(event?.reason, 'unauthenticated');
        assert.match(event?.message ?? '', audited);
        assert.doesNotMatch(JSON.stringify(event), /a1a1a1|b1b1b1/);
        assert.equal(await fixture.store.getNode('w1'), undefined);
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
        await fixture.token(fields);
        await assert.rejects(fixture.attempt(attempted), refused(reason, text));
        assert.equal((await fixture.store.getToken('token001'))?.uses, 0);
        assert.deepEqual(await fixture.store.listNodes(), []);
        const [event] = await fixture.events('enrol.refused');
        assert.deepEqual([event?.reason, event?.actor], [reason, 'token/token001']);
      });
    }
  });

  it('refuses an address where another node is at home, unless the operator gave it', async () => {
    await fixture.store.enrol({
      node: sampleNode({ name: 'cp1', role: 'control-plane', addresses: ['10.0.0.1'] }),
      useToken: undefined,
    });
    await fixture.token();
    await fixture.token({ id: 'token002', addresses: ['10.0.0.1'] });
    await assert.rejects(
      fixture.attempt({ address: '10.0.0.1' }),
      refused('policy-refused', /is the node cp1: .*--address/),
    );
    const given = await fixture.attempt({ authorization: `Bearer token002.${secret}`, address: '10.0.0.1' });
    assert.deepEqual(given.addresses, ['10.0.0.1']);
  });

  it('counts nobody for a store that is away: honest nodes that come meanwhile are not held up after it', async () => {
    await fixture.token();
    const away = refused('unavailable', /the disk is full/);
    const { store } = fixture;
    fixture.deps.store = {
      ...store,
      enrol: async () => {
        throw new AppError('unavailable', 'the store cannot be written: the disk is full');
      },
    };
    for (let attempt = 1; attempt <= 30; attempt++) await assert.rejects(fixture.attempt(), away);
    fixture.deps.store = store;
    assert.equal((await fixture.attempt()).role, NodeRole.WORKER);
  });

  it('refuses a key that somebody else holds', async () => {
    await fixture.token();
    await fixture.store.recordIntents([sampleIntent({ holder: 'cp1', publicKeyPin: publicKeyPin(key.publicKey) })]);
    await assert.rejects(fixture.attempt(), refused('policy-refused', /another holder/));
  });
});
