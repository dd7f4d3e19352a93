import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { authorities as authorityWords, type Profile, profiles } from '../../common/names/names.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { chainsTo, parseCertificate } from '../../common/x509/certificate.ts';
import { generateKey, type PrivateKey } from '../../common/x509/keys.ts';
import { IssueCertificatesRequestSchema } from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import type { Authorities } from '../authority/authorities.ts';
import type { Caller } from '../caller.ts';
import { approveIdentity } from '../policy/approve.ts';
import { newCsr, sampleAuthorities, sampleConfig, sampleCsr, startMs } from '../policy/policy-for-tests.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { sampleNode } from '../store/store-contract.ts';
import { issueCertificates } from './issue-certificates.ts';
import type { IssueDeps } from './issue-deps.ts';
import { sign } from './sign.ts';
import { getTrustBundles } from './trust-bundles.ts';

const page = { size: 100, after: undefined };
const refused = (reason: Reason, text: RegExp) => (error: unknown) =>
  error instanceof AppError && error.reason === reason && text.test(error.message);
const callerOf = (name: string): Caller => ({ kind: 'node', name, serial: '1', address: '10.0.0.11' });

describe('issueCertificates', () => {
  let authorities: Authorities;
  let store: Store;
  let deps: IssueDeps;
  let key: PrivateKey;
  before(async () => {
    authorities = await sampleAuthorities();
  });
  beforeEach(async () => {
    const clock = new FakeClock(startMs);
    store = openSqliteStore(':memory:', clock);
    deps = { store, authorities, config: sampleConfig(), clock };
    key = await generateKey('ecdsa-p256');
    await store.enrol({ node: sampleNode(), useToken: undefined });
    const cp1 = sampleNode({ name: 'cp1', role: 'control-plane', addresses: ['10.0.0.1'] });
    await store.enrol({ node: cp1, useToken: undefined });
    await store.enrol({ node: sampleNode({ name: 'gone', revoked: true }), useToken: undefined });
  });
  afterEach(() => store.close());

  const batch = (...wishes: [Profile, Uint8Array][]) =>
    create(IssueCertificatesRequestSchema, {
      requests: wishes.map(([profile, csr]) => ({ profile: profiles.toNumber(profile), csr })),
      changeId: 'change-1',
    });
  const newKeyCsr = async (names = {}) => sampleCsr(await generateKey('ecdsa-p256'), names);
  const kinds = async () => (await store.listEvents({}, page)).rows.map((event) => event.kind).reverse();
  const rows = async () => (await store.listCertificates({}, page)).rows;

  it('gives a control plane node all that it needs in one batch, in order, each from its CA', async () => {
    const wishes: [Profile, Uint8Array][] = [];
    for (const profile of profiles.all) wishes.push([profile, await newKeyCsr()]);
    const response = await issueCertificates(deps, callerOf('cp1'), batch(...wishes));
    assert.deepEqual(
      response.certificates.map((issued) => profiles.toWord(issued.profile)),
      profiles.all,
    );
    for (const issued of response.certificates) {
      const certificate = parseCertificate(issued.certificatePem);
      const row = (await rows()).find((found) => found.serial === issued.serial);
      assert.ok(row?.state === 'issued' && row.pem === issued.certificatePem && row.sha256 === certificate.sha256);
      assert.equal(certificate.serial, issued.serial);
      assert.equal(certificate.subject, row.subject);
      assert.equal(certificate.publicKeyPin, row.publicKeyPin);
      assert.equal(row.changeId, 'change-1');
      assert.deepEqual([certificate.dnsNames, certificate.ipAddresses], [row.dnsNames, row.ipAddresses]);
      assert.equal(certificate.notAfter.getTime(), row.notAfterMs);
      assert.ok(issued.notAfter !== undefined && timestampMs(issued.notAfter) === row.notAfterMs);
      assert.equal(chainsTo(certificate, authorities.roots(row.authority), new Date(startMs)), undefined);
      assert.equal(certificate.ca, false);
    }
    assert.deepEqual(
      response.bundles.map((bundle) => authorityWords.toWord(bundle.authority)),
      ['kubernetes', 'etcd', 'front-proxy'],
    );
    assert.equal(response.bundles[0]?.rootsPem, authorities.rootsPem('kubernetes'));
    assert.ok(response.serverTime !== undefined && timestampMs(response.serverTime) === startMs);
  });

  it('writes to the audit before and after the signature, who and what', async () => {
    await issueCertificates(deps, callerOf('w1'), batch(['kubelet-serving', sampleCsr(key)]));
    assert.deepEqual(await kinds(), ['certificate.intended', 'certificate.issued']);
    const [issued] = (await store.listEvents({}, page)).rows;
    const [row] = await rows();
    assert.deepEqual(
      { actor: issued?.actor, node: issued?.node, source: issued?.source },
      { actor: 'node/w1', node: 'w1', source: '10.0.0.11' },
    );
    assert.match(
      issued?.message ?? '',
      new RegExp(`^kubelet-serving for w1, serial ${row?.serial} of the kubernetes CA`),
    );
  });

  it('is two durable steps, however many certificates it asks for', async () => {
    const steps: string[] = [];
    const counting: Store = {
      ...store,
      appendEvent: async (event) => {
        steps.push(event.kind);
        await store.appendEvent(event);
      },
      recordIntents: async (intents, events) => {
        steps.push(`${intents.length} intents, ${events?.length} events`);
        await store.recordIntents(intents, events);
      },
      recordIssued: async (issued, events) => {
        steps.push(`${issued.length} issued, ${events?.length} events`);
        await store.recordIssued(issued, events);
      },
    };
    const wishes: [Profile, Uint8Array][] = [
      ['kubelet-serving', await newKeyCsr()],
      ['kubelet-client', await newKeyCsr()],
    ];
    await issueCertificates({ ...deps, store: counting }, callerOf('w1'), batch(...wishes));
    assert.deepEqual(steps, ['2 intents, 2 events', '2 issued, 2 events']);
    assert.deepEqual(await kinds(), [
      'certificate.intended',
      'certificate.intended',
      'certificate.issued',
      'certificate.issued',
    ]);
  });

  it('records the intent before it signs: a crash in between leaves a serial, not a secret certificate', async () => {
    const broken: Authorities = {
      ...authorities,
      signerFor: () => {
        throw new Error('the power went out');
      },
    };
    const request = batch(['kubelet-client', sampleCsr(key)]);
    await assert.rejects(issueCertificates({ ...deps, authorities: broken }, callerOf('w1'), request), /power/);
    assert.deepEqual(
      (await rows()).map((row) => row.state),
      ['intended'],
    );
    assert.deepEqual(await kinds(), ['certificate.intended', 'certificate.refused']);
    const [event] = (await store.listEvents({}, page)).rows;
    assert.doesNotMatch(event?.message ?? '', /power/);
    await issueCertificates(deps, callerOf('w1'), request);
  });

  it('signs nothing when the audit cannot be written', async () => {
    let signed = 0;
    const counting: Authorities = {
      ...authorities,
      signerFor: (...wish) => {
        signed++;
        return authorities.signerFor(...wish);
      },
    };
    const full = { ...store, recordIntents: () => Promise.reject(new AppError('unavailable', 'disk full')) };
    const request = batch(['kubelet-client', sampleCsr(key)]);
    const attempt = issueCertificates({ ...deps, store: full, authorities: counting }, callerOf('w1'), request);
    await assert.rejects(attempt, refused('unavailable', /disk full/));
    assert.equal(signed, 0);
  });

  describe('refuses the whole batch, signs nothing and says so in the audit', () => {
    const good = async (): Promise<[Profile, Uint8Array]> => ['kubelet-client', await newKeyCsr()];
    type Make = () => Promise<[caller: Caller, ReturnType<typeof batch>]>;
    const cases: [what: string, reason: Reason, text: RegExp, make: Make][] = [
      ['no request', 'invalid-request', /has 0 requests/, async () => [callerOf('w1'), batch()]],
      [
        'more than 32 requests',
        'invalid-request',
        /has 33 requests/,
        async () => [
          callerOf('w1'),
          batch(...Array.from({ length: 33 }, () => ['kubelet-client', new Uint8Array()] as [Profile, Uint8Array])),
        ],
      ],
      [
        'a profile twice',
        'invalid-request',
        /asks for kubelet-client twice/,
        async () => [callerOf('w1'), batch(await good(), await good())],
      ],
      [
        'a key twice',
        'invalid-request',
        /kubelet-serving has the key of another/,
        async () => [callerOf('w1'), batch(['kubelet-client', sampleCsr(key)], ['kubelet-serving', sampleCsr(key)])],
      ],
      [
        'no profile',
        'invalid-request',
        /request 1 has no profile/,
        async () => [
          callerOf('w1'),
          create(IssueCertificatesRequestSchema, { requests: [{ csr: await newKeyCsr() }] }),
        ],
      ],
      [
        'junk for a request',
        'invalid-request',
        /the request for kubelet-serving: /,
        async () => [callerOf('w1'), batch(await good(), ['kubelet-serving', Buffer.from('junk')])],
      ],
      [
        'a megabyte of junk',
        'invalid-request',
        /more than 16384 bytes/,
        async () => [callerOf('w1'), batch(['kubelet-serving', Buffer.alloc(1_000_000, 0x30)])],
      ],
      [
        'a foreign name after a good request',
        'policy-refused',
        /asks for evil\.example/,
        async () => [
          callerOf('w1'),
          batch(await good(), ['kubelet-serving', await newKeyCsr({ dnsNames: ['evil.example'] })]),
        ],
      ],
      [
        'a control plane certificate for a worker',
        'policy-refused',
        /role worker, which gets no kube-apiserver-kubelet-client/,
        async () => [callerOf('w1'), batch(await good(), ['kube-apiserver-kubelet-client', await newKeyCsr()])],
      ],
      ['a stranger', 'node-unknown', /ghost is not enrolled/, async () => [callerOf('ghost'), batch(await good())]],
      ['a revoked node', 'node-revoked', /gone was revoked/, async () => [callerOf('gone'), batch(await good())]],
      [
        'an administrator',
        'policy-refused',
        /to nodes only/,
        async () => [{ kind: 'admin', name: 'root', role: 'admin', serial: '1', address: '' }, batch(await good())],
      ],
      [
        'a strange change identifier',
        'invalid-request',
        /change identifier/,
        async () => [callerOf('w1'), { ...batch(await good()), changeId: 'a\nb' }],
      ],
    ];
    for (const [what, reason, text, make] of cases) {
      it(what, async () => {
        const [caller, request] = await make();
        await assert.rejects(issueCertificates(deps, caller, request), refused(reason, text));
        assert.deepEqual(await rows(), []);
        const events = (await store.listEvents({}, page)).rows;
        assert.deepEqual(
          events.map((event) => [event.kind, event.reason]),
          [['certificate.refused', reason]],
        );
        assert.match(events[0]?.message ?? '', text);
      });
    }

    it('a key that another node was certified for', async () => {
      await issueCertificates(deps, callerOf('cp1'), batch(['kubelet-client', sampleCsr(key)]));
      const stolen = issueCertificates(deps, callerOf('w1'), batch(['kubelet-client', sampleCsr(key)]));
      await assert.rejects(stolen, refused('policy-refused', /in use by another holder/));
      assert.equal((await rows()).length, 1);
    });
  });

  it('gives the same certificate again to a node whose answer was lost, with a serial of its own', async () => {
    const request = batch(['kubelet-client', sampleCsr(key)]);
    const first = await issueCertificates(deps, callerOf('w1'), request);
    const second = await issueCertificates(deps, callerOf('w1'), request);
    assert.notEqual(first.certificates[0]?.serial, second.certificates[0]?.serial);
  });

  it('signs nothing but approvals', async () => {
    const csr = await newCsr();
    const context = { config: deps.config, authorities, nowMs: startMs };
    const approval = approveIdentity({ node: sampleNode(), csr, keyHolder: undefined }, context);
    assert.ok(sign(approval, '1', authorities.signerFor('fleet', undefined)));
    const forged = { fields: { ...approval.fields, uris: ['spiffe://lab/admin/root'] } };
    assert.throws(() => sign(forged as never, '1', authorities.signerFor('fleet', undefined)), /only an approval/);
  });

  it('tells each role the roots that it needs and no more', async () => {
    const e1 = sampleNode({ name: 'e1', role: 'etcd' });
    await store.enrol({ node: e1, useToken: undefined });
    const bundlesOf = async (name: string) =>
      (await getTrustBundles(deps, callerOf(name))).bundles.map((bundle) => authorityWords.toWord(bundle.authority));
    assert.deepEqual(await bundlesOf('cp1'), ['kubernetes', 'etcd', 'front-proxy']);
    assert.deepEqual(await bundlesOf('w1'), ['kubernetes']);
    assert.deepEqual(await bundlesOf('e1'), ['etcd']);
    await assert.rejects(getTrustBundles(deps, callerOf('gone')), refused('node-revoked', /gone/));
  });
});
