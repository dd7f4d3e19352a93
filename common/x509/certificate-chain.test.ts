import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Certificate, chainsTo, parseCertificate } from './certificate.ts';
import { generateKey, type PrivateKey } from './keys.ts';
import { opensslFolder } from './openssl-for-tests.ts';
import { createAuthority, newSerial, type Signer, signCertificate } from './sign.ts';

const at = new Date('2026-06-01T00:00:00Z');
const days = (count: number) => new Date(at.getTime() + count * 86_400_000);

function authority(commonName: string, notBefore = days(-10), notAfter = days(10)): Promise<Signer> {
  return createAuthority({ commonName, serial: newSerial(), algorithm: 'ecdsa-p256', notBefore, notAfter });
}

function leafOf(issuer: Signer, key: PrivateKey, notBefore = days(-1), notAfter = days(1)): Certificate {
  const names = { organizations: [], dnsNames: ['w1'], ipAddresses: [], uris: [] };
  const fields = { ...names, serial: newSerial(), commonName: 'w1', publicKey: key.publicKey, notBefore, notAfter };
  return parseCertificate(signCertificate({ ...fields, usages: ['client'] }, issuer));
}

describe('chainsTo', () => {
  let one: Signer;
  let two: Signer;
  let key: PrivateKey;
  before(async () => {
    one = await authority('kubernetes');
    two = await authority('kubernetes'); // the same name, another key: as after a rotation of the root
    key = await generateKey('ecdsa-p256');
  });

  it('takes a leaf whose signer is among the roots, in any place', () => {
    const leaf = leafOf(one, key);
    assert.equal(chainsTo(leaf, [one.certificate], at), undefined);
    assert.equal(chainsTo(leaf, [two.certificate, one.certificate], at), undefined);
  });

  it('refuses a leaf of another CA of the same name, and says who issued it', () => {
    assert.match(
      chainsTo(leafOf(one, key), [two.certificate], at) ?? '',
      /issued by CN=kubernetes, by none of the trusted roots \(CN=kubernetes\)/,
    );
    assert.match(chainsTo(leafOf(one, key), [], at) ?? '', /by none of the trusted roots \(none\)/);
  });

  it('refuses a leaf outside its time, to the second', () => {
    const leaf = leafOf(one, key);
    assert.equal(chainsTo(leaf, [one.certificate], days(1)), undefined);
    assert.match(
      chainsTo(leaf, [one.certificate], new Date(days(1).getTime() + 1)) ?? '',
      /the certificate expired at 2026-06-02T00:00:00.000Z/,
    );
    assert.equal(chainsTo(leaf, [one.certificate], days(-1)), undefined);
    assert.match(
      chainsTo(leaf, [one.certificate], new Date(days(-1).getTime() - 1)) ?? '',
      /not valid before .*check the clock/,
    );
  });

  it('refuses a root outside its time, unless another one that signed it is inside', async () => {
    const old = await authority('kubernetes', days(-10), days(-5));
    // the same key again, as an authority renewed without a new key
    const fields = {
      serial: newSerial(),
      commonName: 'kubernetes',
      publicKey: old.key.publicKey,
      notBefore: days(-10),
      ca: true,
    };
    const names = { organizations: [], usages: [], dnsNames: [], ipAddresses: [], uris: [] };
    const certificate = { ...old.certificate, notAfter: days(20) };
    const renewed = parseCertificate(
      signCertificate({ ...fields, ...names, notAfter: days(10) }, { ...old, certificate }),
    );
    const leaf = leafOf({ ...old, certificate: renewed }, key);
    assert.match(chainsTo(leaf, [old.certificate], at) ?? '', /the root CN=kubernetes expired at/);
    assert.equal(chainsTo(leaf, [old.certificate, renewed], at), undefined);
  });

  it('refuses a leaf as a root', () => {
    const leaf = leafOf(one, key);
    assert.match(chainsTo(leaf, [leaf], at) ?? '', /by none/);
  });

  it('refuses a root of the right name, without key identifier, that did not sign', () => {
    const openssl = opensslFolder();
    const none = 'subjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n';
    openssl.write('c.cnf', `[req]\ndistinguished_name=d\n[d]\n[v3]\nbasicConstraints=CA:TRUE\n${none}`);
    const bare = ['-config', 'c.cnf', '-extensions', 'v3'];
    const kinds = [['ed25519'], ['rsa:2048'], ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']];
    for (const kind of kinds) {
      const made = ['-noenc', '-keyout', 'k.pem', '-subj', '/CN=kubernetes', '-out', 'c.pem'];
      openssl.run('req', '-x509', '-newkey', ...kind, ...made, ...bare);
      const root = parseCertificate(openssl.text('c.pem'));
      const leaf = leafOf(one, key);
      // OpenSSL sees the other kinds of keys at once; of the same kind only the signature tells
      assert.equal(leaf.x509.checkIssued(root.x509), kind[0] === 'ec');
      assert.match(chainsTo(leaf, [root], at) ?? '', /by none/);
    }
    openssl.remove();
  });

  it('refuses a self-signed certificate that is no CA as its own root', () => {
    const openssl = opensslFolder();
    openssl.write('c.cnf', '[req]\ndistinguished_name=d\n[d]\n[v3]\nbasicConstraints=CA:FALSE\n');
    const made = ['-newkey', 'rsa:2048', '-noenc', '-keyout', 'k.pem', '-subj', '/CN=x', '-out', 'c.pem'];
    openssl.run('req', '-x509', ...made, '-config', 'c.cnf', '-extensions', 'v3');
    const self = parseCertificate(openssl.text('c.pem'));
    openssl.remove();
    assert.equal(chainsTo(self, [self], new Date()), 'the root CN=x is not a CA');
  });
});
