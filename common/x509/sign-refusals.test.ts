import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { parseCertificate } from './certificate.ts';
import { generateKey, loadKey, type PrivateKey } from './keys.ts';
import { opensslFolder } from './openssl-for-tests.ts';
import { type CertificateFields, type Signer, signCertificate } from './sign.ts';
import { authority, caNotAfter, fieldsOf, notBefore, refused } from './x509-for-tests.ts';

describe('signCertificate refuses', () => {
  let ca: Signer;
  let key: PrivateKey;
  before(async () => {
    ca = await authority();
    key = await generateKey('ecdsa-p256');
  });

  const rows: [what: string, changes: Partial<CertificateFields>, why: RegExp][] = [
    ['an empty serial', { serial: '' }, /serial/],
    ['serial 0', { serial: '000' }, /serial/],
    ['a negative serial', { serial: '-1' }, /serial/],
    ['a serial that is not hexadecimal', { serial: 'xyz' }, /serial/],
    ['a serial of 21 octets', { serial: `80${'00'.repeat(19)}` }, /serial/],
    ['an end before the beginning', { notAfter: new Date(notBefore.getTime() - 1) }, /end before it begins/],
    ['no duration', { notAfter: notBefore }, /end before it begins/],
    ['no time', { notBefore: new Date(Number.NaN) }, /end before it begins/],
    ['a life beyond its CA', { notAfter: new Date(caNotAfter.getTime() + 1000) }, /outlive its issuer/],
    ['an empty common name', { commonName: '' }, /empty/],
    ['a NUL in an organization', { organizations: ['system:nodes\0'] }, /control/],
    ['a DNS name with a line feed', { dnsNames: ['a\nb'] }, /malformed/],
    ['an address with a zone', { ipAddresses: ['fe80::1%eth0'] }, /without prefix length or zone/],
    ['an address with a prefix', { ipAddresses: ['10.0.0.0/8'] }, /without prefix length or zone/],
    ['a URI with a space', { uris: ['spiffe://fleet/node/a b'] }, /printable/],
    ['an RSA key of 1024 bits', { publicKey: generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey }, /1024/],
    ['an Ed25519 key', { publicKey: generateKeyPairSync('ed25519').publicKey }, /ed25519/],
  ];
  for (const [what, changes, why] of rows) {
    it(what, () => assert.throws(() => signCertificate(fieldsOf(key, changes), ca), refused(why)));
  }

  it('the largest serial of 20 octets not', () => {
    const serial = `7f${'ff'.repeat(19)}`;
    assert.equal(parseCertificate(signCertificate(fieldsOf(key, { serial }), ca)).serial, serial);
  });

  it('an issuer that is a leaf', () => {
    const leaf = parseCertificate(signCertificate(fieldsOf(key), ca));
    assert.throws(() => signCertificate(fieldsOf(key), { certificate: leaf, key }), refused(/is not a CA/));
  });

  it('a key that is not the one of the issuer', () => {
    assert.throws(() => signCertificate(fieldsOf(key), { ...ca, key }), refused(/not the one of CN=kubernetes/));
  });

  for (const kind of ['rsa:1024', 'ed25519']) {
    it(`an adopted CA with ${kind}`, () => {
      const openssl = opensslFolder();
      openssl.run(
        'req',
        '-x509',
        '-newkey',
        kind,
        '-noenc',
        '-days',
        '10',
        '-subj',
        '/CN=old',
        '-keyout',
        'k.pem',
        '-out',
        'c.pem',
      );
      const weak = { certificate: parseCertificate(openssl.text('c.pem')), key: loadKey(openssl.text('k.pem')) };
      openssl.remove();
      assert.throws(() => signCertificate(fieldsOf(key), weak), refused(/is not accepted/));
    });
  }
});
