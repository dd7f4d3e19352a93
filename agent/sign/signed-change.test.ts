import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import type { Authority, Profile } from '../../common/names/names.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { type CertificateFields, newSerial, type Signer, signCertificate } from '../../common/x509/sign.ts';
import { type KeyedChange, makeKeys, type SlotKey } from '../keys/make-keys.ts';
import { componentFolder, layoutBelow } from '../layout.ts';
import type { Change } from '../plan/change.ts';
import { makeAuthority, nowMs } from '../plan/fake-authorities.ts';
import { fingerprint } from '../plan/fingerprint.ts';
import { detectedKubelet } from '../verify/detected-for-tests.ts';
import { checkSigned, type SignedBundle } from './signed-change.ts';

const HOUR = 3_600_000;
let kubernetes: Signer;
let stranger: Signer;
let keyed: KeyedChange;

before(async () => {
  [kubernetes, stranger] = await Promise.all([makeAuthority('kubernetes'), makeAuthority('kubernetes')]);
  const wanted = { dnsNames: ['w1'], ipAddresses: ['10.0.0.2'] };
  const change: Change = {
    changeId: '20260101T000000Z-1a2b3c',
    components: [
      {
        component: 'kubelet',
        detected: detectedKubelet({}),
        folder: componentFolder(layoutBelow('/nowhere'), 'kubelet'),
        ...{ uid: 0, gid: 0, files: [], memberUpdate: undefined, target: 'enforced', takeUp: 'restart', summary: [] },
        slots: [
          { profile: 'kubelet-serving', file: 'serving', ...wanted, reason: 'missing' },
          { profile: 'kubelet-client', file: 'client', dnsNames: [], ipAddresses: [], reason: 'missing' },
        ],
        bundles: [{ authority: 'kubernetes', file: 'client-ca.crt' }],
      },
    ],
    fingerprint: '',
  };
  change.fingerprint = fingerprint(
    change.components,
    new Map(bundles().map(({ authority, rootsPem }) => [authority, rootsPem])),
  );
  keyed = await makeKeys(change, 'ecdsa-p256');
});

function bundles(authority: Authority = 'kubernetes', signer = kubernetes): SignedBundle[] {
  return [{ authority, rootsPem: signer.certificate.pem }];
}

/** The certificate that a good server answers for a slot, with some of it changed. */
function sign({ slot, key }: SlotKey, fields: Partial<CertificateFields> = {}, signer = kubernetes): string {
  return signCertificate(
    {
      ...{ serial: newSerial(), commonName: 'test', organizations: [], publicKey: key.publicKey, uris: [] },
      ...{ notBefore: new Date(nowMs - HOUR), notAfter: new Date(nowMs + 24 * HOUR), usages: ['server', 'client'] },
      ...{ dnsNames: slot.dnsNames, ipAddresses: slot.ipAddresses },
      ...fields,
    },
    signer,
  );
}

/** The good answer, with the first certificate changed. */
function answer(fields: Partial<CertificateFields> = {}, signer = kubernetes) {
  return keyed.keys.map((slotKey, index) => ({
    profile: slotKey.slot.profile,
    certificatePem: index === 0 ? sign(slotKey, fields, signer) : sign(slotKey),
  }));
}

type Answer = ReturnType<typeof answer>;

describe('checkSigned', () => {
  it('pairs each certificate with its key, in the order of the slots', () => {
    const issued = answer();
    const signed = checkSigned(keyed, issued, bundles(), nowMs);
    assert.deepEqual(
      signed.certificates.map(({ component, file, profile, keyPem, certificatePem, notAfterMs }) => {
        return { component, file, profile, keyPem, certificatePem, notAfterMs };
      }),
      keyed.keys.map(({ slot, key }, index) => ({
        component: 'kubelet',
        file: slot.file,
        profile: slot.profile,
        keyPem: key.pem,
        certificatePem: issued[index]?.certificatePem,
        notAfterMs: nowMs + 24 * HOUR,
      })),
    );
    assert.equal(signed.change, keyed.change);
  });

  it('takes a certificate with more names than were asked for, and roots in any number', () => {
    const more = [...bundles(), ...bundles('etcd', stranger)];
    const issued = answer({ dnsNames: ['w1', 'w1.example.org'] });
    assert.equal(checkSigned(keyed, issued, more, nowMs).certificates.length, 2);
  });

  const other = (profile: Profile) => (issued: Answer) => [{ ...issued[0], profile }, ...issued.slice(1)] as Answer;
  const refusals: [what: string, make: () => Promise<Answer> | Answer, words: RegExp][] = [
    ['too few certificates', () => answer().slice(1), /answered 1 certificates for 2 requests/],
    ['too many certificates', () => [...answer(), ...answer()], /answered 4 certificates for 2 requests/],
    ['another profile', () => other('kubelet-client')(answer()), /kubelet-serving .* is of another profile/],
    ['certificates in another order', () => answer().toReversed(), /kubelet-serving .* is of another profile/],
    [
      'a certificate for another key',
      async () => answer({ publicKey: (await generateKey('ecdsa-p256')).publicKey }),
      /is for another key than ours/,
    ],
    [
      'a certificate that is not valid yet',
      () => answer({ notBefore: new Date(nowMs + 1000) }),
      /is valid only from 2026-01-01T00:00:01\.000Z by this node's clock: set the clock right/,
    ],
    [
      'a certificate that has expired',
      () => answer({ notAfter: new Date(nowMs - 1000) }),
      /is not good here: .*expired/,
    ],
    ['a certificate of a CA of the same name', () => answer({}, stranger), /by none of the trusted roots/],
    ['a certificate without a name', () => answer({ dnsNames: [] }), /lacks w1$/],
    ['a certificate without an address', () => answer({ ipAddresses: ['10.0.0.3'] }), /lacks 10\.0\.0\.2$/],
    ['garbage', () => answer().map((each) => ({ ...each, certificatePem: 'x' })), /certificate/],
  ];
  for (const [what, make, words] of refusals) {
    it(`refuses ${what}`, async () => {
      const issued = await make();
      assert.throws(() => checkSigned(keyed, issued, bundles(), nowMs), refusal('invalid-request', words));
    });
  }

  it('refuses an answer without the roots', () => {
    const none = bundles('etcd');
    assert.throws(
      () => checkSigned(keyed, answer(), none, nowMs),
      refusal('invalid-request', /no roots of the kubernetes CA/),
    );
  });

  it('refuses an answer with empty roots', () => {
    const empty: SignedBundle[] = [{ authority: 'kubernetes', rootsPem: '' }];
    assert.throws(() => checkSigned(keyed, answer(), empty, nowMs), refusal('invalid-request', /holds no certificate/));
  });

  it('refuses other roots than the plan saw, even when they vouch for all of it', () => {
    const rootsPem = kubernetes.certificate.pem + stranger.certificate.pem;
    const more: SignedBundle[] = [{ authority: 'kubernetes', rootsPem }];
    assert.throws(() => checkSigned(keyed, answer(), more, nowMs), refusal('conflict', /roots of the server changed/));
  });
});

function refusal(reason: Reason, words: RegExp) {
  return (error: unknown) => error instanceof AppError && error.reason === reason && words.test(error.message);
}
