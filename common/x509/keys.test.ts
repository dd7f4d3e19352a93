import assert from 'node:assert/strict';
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { assertStrongKey, encryptKey, generateKey, type KeyAlgorithm, loadKey, publicKeyPin } from './keys.ts';
import { type Openssl, opensslFolder } from './openssl-for-tests.ts';
import { fewIterations, hasIterations, refused } from './x509-for-tests.ts';

describe('keys', () => {
  let openssl: Openssl;
  before(() => {
    openssl = opensslFolder();
  });
  after(() => openssl.remove());

  const algorithms: [KeyAlgorithm, RegExp][] = [
    ['ecdsa-p256', /prime256v1/],
    ['ecdsa-p384', /secp384r1/],
    ['rsa-2048', /2048 bit/],
    ['rsa-3072', /3072 bit/],
    ['rsa-4096', /4096 bit/],
  ];
  for (const [algorithm, shown] of algorithms) {
    it(`makes an ${algorithm} key that openssl reads and that is strong`, async () => {
      const key = await generateKey(algorithm);
      openssl.write('key.pem', key.pem);
      assert.match(openssl.run('pkey', '-in', 'key.pem', '-noout', '-text'), shown);
      assert.match(key.pem, /^-----BEGIN PRIVATE KEY-----/);
      assertStrongKey(key.publicKey);
      assert.ok(loadKey(key.pem).key.equals(key.key));
    });
  }

  const written: [name: string, ...make: string[][]][] = [
    ['PKCS#8', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'in.pem']],
    ['SEC1 with parameters before it', ['ecparam', '-genkey', '-name', 'secp384r1', '-out', 'in.pem']],
    ['PKCS#1', ['genrsa', '-traditional', '-out', 'in.pem', '2048']],
    ['Ed25519', ['genpkey', '-algorithm', 'ED25519', '-out', 'in.pem']],
  ];
  for (const [name, ...commands] of written) {
    it(`loads ${name} as openssl writes it`, () => {
      for (const args of commands) openssl.run(...args);
      const key = loadKey(openssl.text('in.pem'));
      assert.match(key.pem, /^-----BEGIN PRIVATE KEY-----/);
      assert.equal(
        openssl.run('pkey', '-in', 'in.pem', '-pubout'),
        key.publicKey.export({ type: 'spki', format: 'pem' }),
      );
    });
  }

  it('loads the key of a file that holds the certificate too, as kubelet-client-current.pem does', () => {
    openssl.run('req', '-x509', '-newkey', 'rsa:2048', '-noenc', '-subj', '/CN=x', '-keyout', 'k.pem', '-out', 'c.pem');
    const both = loadKey(openssl.text('c.pem') + openssl.text('k.pem'));
    assert.ok(both.key.equals(loadKey(openssl.text('k.pem')).key));
  });

  it('encrypts a key so that only the passphrase opens it, here and in openssl', async () => {
    const key = await generateKey('ecdsa-p256');
    const encrypted = encryptKey(key, 'pässphrase');
    assert.match(encrypted, /^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
    assert.ok(loadKey(encrypted, 'pässphrase').key.equals(key.key));
    assert.throws(() => loadKey(encrypted, 'passphrase'), refused(/passphrase does not open it/));
    assert.throws(() => loadKey(encrypted, ''), refused(/passphrase does not open it/));
    assert.throws(() => loadKey(encrypted), refused(/no passphrase was given/));
    openssl.write('enc.pem', encrypted);
    assert.equal(openssl.run('pkey', '-in', 'enc.pem', '-passin', 'pass:pässphrase'), key.pem);
    assert.throws(() => openssl.run('pkey', '-in', 'enc.pem', '-passin', 'pass:wrong'));
    assert.match(openssl.run('asn1parse', '-in', 'enc.pem'), /INTEGER +:0927C0[\s\S]*hmacWithSHA256[\s\S]*aes-256-cbc/);
    assert.notEqual(encryptKey(key, 'pässphrase'), encrypted);
  });

  it('makes it slow, unless a test asks for fewer rounds', async () => {
    const key = await generateKey('ecdsa-p256');
    const fast = encryptKey(key, 'secret', fewIterations);
    assert.ok(loadKey(fast, 'secret').key.equals(key.key));
    assert.deepEqual([hasIterations(fast, 600_000), hasIterations(encryptKey(key, 'secret'), 600_000)], [false, true]);
  });

  it('refuses a passphrase that protects nothing or that cannot be given back', async () => {
    const key = await generateKey('ecdsa-p256');
    assert.throws(() => encryptKey(key, ''), refused(/1 to 1000 bytes/));
    assert.throws(() => encryptKey(key, 'x'.repeat(1001)), refused(/1 to 1000 bytes/));
    assert.ok(loadKey(encryptKey(key, 'x'.repeat(1000)), 'x'.repeat(1000)).key.equals(key.key));
  });

  for (const text of ['', 'x', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', '\0'.repeat(1000)]) {
    it(`refuses ${JSON.stringify(text.slice(0, 30))} as a key, without its text in the message`, () => {
      assert.throws(() => loadKey(text), refused(/^the private key cannot be read/));
    });
  }

  it('refuses a public key where a private one is needed', async () => {
    const { publicKey } = await generateKey('ecdsa-p256');
    assert.throws(
      () => loadKey(publicKey.export({ type: 'spki', format: 'pem' }).toString()),
      refused(/cannot be read/),
    );
  });

  it('pins a public key as the documentation of kubeadm does with openssl', () => {
    openssl.run(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-noenc',
      '-subj',
      '/CN=kubernetes',
      '-keyout',
      'k.pem',
      '-out',
      'c.pem',
    );
    openssl.write('pub.pem', openssl.run('x509', '-pubkey', '-noout', '-in', 'c.pem'));
    openssl.run('pkey', '-pubin', '-in', 'pub.pem', '-outform', 'der', '-out', 'pub.der');
    const hash = createHash('sha256').update(openssl.read('pub.der')).digest('hex');
    assert.equal(publicKeyPin(createPublicKey(openssl.text('c.pem'))), `sha256:${hash}`);
  });
});

describe('assertStrongKey', () => {
  const weak: [name: string, make: () => ReturnType<typeof createPublicKey>, why: RegExp][] = [
    ['RSA 1024', () => generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey, /1024 bits/],
    ['RSA 2047', () => generateKeyPairSync('rsa', { modulusLength: 2047 }).publicKey, /2047 bits/],
    ['exponent 3', () => generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).publicKey, /exponent/],
    ['RSA-PSS', () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey, /type rsa-pss/],
    ['P-224', () => generateKeyPairSync('ec', { namedCurve: 'secp224r1' }).publicKey, /curve secp224r1/],
    ['secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey, /curve secp256k1/],
    ['P-521', () => generateKeyPairSync('ec', { namedCurve: 'secp521r1' }).publicKey, /curve secp521r1/],
    ['Ed25519', () => generateKeyPairSync('ed25519').publicKey, /type ed25519/],
    ['X25519', () => generateKeyPairSync('x25519').publicKey, /type x25519/],
    ['an even exponent', () => rsaWith(2048, 65538n), /exponent/],
    ['a huge exponent', () => rsaWith(2048, 2n ** 64n + 1n), /exponent/],
    ['RSA 16384', () => rsaWith(16384, 65537n), /16384 bits/],
  ];
  for (const [name, make, why] of weak) {
    it(`refuses ${name}`, () => assert.throws(() => assertStrongKey(make()), refused(why)));
  }

  it('takes RSA of 8192 bits', () => assertStrongKey(rsaWith(8192, 65537n)));
});

/** A public key that nobody has a private key for. */
function rsaWith(bits: number, exponent: bigint) {
  const hex = exponent.toString(16);
  const e = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
  const n = Buffer.alloc(bits / 8, 0xff).toString('base64url');
  return createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' });
}
