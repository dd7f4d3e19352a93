import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { randomOf } from '../random/random-for-tests.ts';
import { keyMatches, parseCertificate, parseCertificates } from './certificate.ts';
import { loadKey } from './keys.ts';
import { type Openssl, opensslFolder } from './openssl-for-tests.ts';
import { createAuthority, newSerial, type Signer } from './sign.ts';
import { refused } from './x509-for-tests.ts';

const at = new Date('2026-06-01T00:00:00Z');
const days = (count: number) => new Date(at.getTime() + count * 86_400_000);

function authority(commonName: string, notBefore = days(-10), notAfter = days(10)): Promise<Signer> {
  return createAuthority({ commonName, serial: newSerial(), algorithm: 'ecdsa-p256', notBefore, notAfter });
}

describe('parseCertificate', () => {
  let openssl: Openssl;
  before(() => {
    openssl = opensslFolder();
  });
  after(() => openssl.remove());

  const kinds: [name: string, newkey: string[]][] = [
    ['RSA', ['-newkey', 'rsa:2048']],
    ['RSA 1024', ['-newkey', 'rsa:1024']],
    ['P-256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
    ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    ['Ed25519', ['-newkey', 'ed25519']],
  ];
  for (const [name, newkey] of kinds) {
    it(`reads a certificate of openssl with ${name}, PEM, DER and printed`, () => {
      const san = 'subjectAltName=DNS:Api.Example.ORG,IP:127.0.0.1,IP:fd00::1,URI:spiffe://x/y,email:a@b';
      const usage = 'extendedKeyUsage=clientAuth,codeSigning';
      const subject = ['-subj', '/O=system:masters/CN=kubernetes-admin', '-set_serial', '0x00ABCD'];
      openssl.run(
        'req',
        '-x509',
        ...newkey,
        '-noenc',
        '-keyout',
        'k.pem',
        ...subject,
        '-addext',
        san,
        '-addext',
        usage,
        '-out',
        'c.pem',
      );
      openssl.run('x509', '-in', 'c.pem', '-outform', 'der', '-out', 'c.der');
      const read = parseCertificate(openssl.text('c.pem'));
      assert.deepEqual(
        [read.serial, read.subject, read.issuer, read.commonName, read.organizations],
        [
          'abcd',
          'O=system:masters, CN=kubernetes-admin',
          'O=system:masters, CN=kubernetes-admin',
          'kubernetes-admin',
          ['system:masters'],
        ],
      );
      assert.deepEqual(
        [read.dnsNames, read.ipAddresses, read.uris],
        [['api.example.org'], ['127.0.0.1', 'fd00::1'], ['spiffe://x/y']],
      );
      assert.deepEqual([read.ca, read.usages], [true, ['client']]);
      assert.equal(
        `sha256 Fingerprint=${read.sha256.toUpperCase().match(/../g)?.join(':')}\n`,
        openssl.run('x509', '-in', 'c.pem', '-noout', '-fingerprint', '-sha256'),
      );
      assert.ok(keyMatches(loadKey(openssl.text('k.pem')), read));
      assert.equal(read.pem, openssl.text('c.pem'));
      assert.equal(parseCertificate(openssl.read('c.der')).sha256, read.sha256);
      openssl.run('x509', '-in', 'c.pem', '-text', '-out', 'printed.pem');
      assert.equal(parseCertificate(openssl.read('printed.pem')).sha256, read.sha256);
      assert.equal(parseCertificate(openssl.text('k.pem') + openssl.text('c.pem')).sha256, read.sha256);
    });
  }

  it('reads a certificate of version 1, which is no CA and states no usage', () => {
    openssl.run(
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-noenc',
      '-keyout',
      'k.pem',
      '-subj',
      '/CN=old',
      '-out',
      'c.csr',
    );
    openssl.run('x509', '-req', '-in', 'c.csr', '-signkey', 'k.pem', '-out', 'c.pem');
    assert.match(openssl.run('x509', '-in', 'c.pem', '-noout', '-text'), /Version: 1/);
    const read = parseCertificate(openssl.text('c.pem'));
    assert.deepEqual([read.commonName, read.ca, read.usages, read.dnsNames], ['old', false, [], []]);
  });

  it('takes any extended usage for both', () => {
    openssl.run(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-noenc',
      '-keyout',
      'k.pem',
      '-subj',
      '/CN=x',
      '-addext',
      'extendedKeyUsage=anyExtendedKeyUsage',
      '-out',
      'c.pem',
    );
    assert.deepEqual(parseCertificate(openssl.text('c.pem')).usages, ['server', 'client']);
  });

  it('reads an empty subject and odd extensions of others', () => {
    const odd = [
      '1.2.3.4=ASN1:UTF8String:x',
      '2.25.329800735698586629295641978511506172918=ASN1:NULL',
      'nameConstraints=permitted;DNS:x',
      'subjectAltName=critical,DNS:under_score.x',
    ];
    openssl.run(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-noenc',
      '-keyout',
      'k.pem',
      '-subj',
      '/',
      ...odd.flatMap((one) => ['-addext', one]),
      '-out',
      'c.pem',
    );
    const read = parseCertificate(openssl.text('c.pem'));
    assert.deepEqual([read.subject, read.commonName, read.dnsNames], ['', '', ['under_score.x']]);
  });

  it('does not take a CA that may not sign certificates for one', () => {
    openssl.run(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-noenc',
      '-keyout',
      'k.pem',
      '-subj',
      '/CN=x',
      '-addext',
      'keyUsage=digitalSignature',
      '-out',
      'c.pem',
    );
    assert.equal(parseCertificate(openssl.text('c.pem')).ca, false);
  });

  it('reads all certificates of a bundle in order, or none', async () => {
    const [one, two] = [(await authority('one')).certificate, (await authority('two')).certificate];
    const bundle = `# comment\n${one.pem}junk\r\n${two.pem.replaceAll('\n', '\r\n')}`;
    assert.deepEqual(
      parseCertificates(bundle).map(({ subject }) => subject),
      ['CN=one', 'CN=two'],
    );
    assert.equal(parseCertificate(bundle).subject, 'CN=one');
    assert.throws(() => parseCertificates(`${one.pem}${two.pem.slice(0, 200)}`), refused(/cut off/));
    assert.throws(() => parseCertificates(`${one.pem}${two.pem.replace('MII', 'MIJ')}`), refused(/./));
  });
});

describe('parseCertificate refuses', () => {
  let pem: string;
  let der: Buffer;
  before(async () => {
    const { certificate } = await authority('kubernetes');
    pem = certificate.pem;
    der = certificate.x509.raw;
  });

  const rows: [what: string, make: () => string | Uint8Array, why: RegExp][] = [
    ['nothing', () => '', /holds no certificate/],
    ['no bytes', () => new Uint8Array(), /holds no certificate/],
    ['a key', () => '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', /holds no certificate/],
    [
      'a trusted certificate of openssl, which has more in it',
      () => pem.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE'),
      /holds no certificate/,
    ],
    ['a byte too many', () => Buffer.concat([der, Buffer.from([0])]), /malformed/],
    ['a byte too few', () => der.subarray(0, -1), /malformed/],
    ['an empty sequence', () => Buffer.from([0x30, 0]), /something else/],
    ['only the first part', () => Buffer.from('30023000', 'hex'), /no issuer or no subject/],
    ['2 MB and more', () => 'x'.repeat(2 * 1024 * 1024 + 1), /too large/],
    ['DER of 64 KiB and more', () => Buffer.alloc(65_537, 0x30), /more than 65536 bytes/],
    ['nested sequences', () => Buffer.alloc(60_000, Buffer.from([0x30, 0x80])), /malformed/],
    ['many beginnings without an end', () => '-----BEGIN CERTIFICATE-----\n'.repeat(60_000), /cut off/],
  ];
  for (const [what, make, why] of rows) {
    it(`${what}, fast`, () => {
      const input = make();
      const start = process.threadCpuUsage();
      assert.throws(() => parseCertificate(input), refused(why));
      const { user, system } = process.threadCpuUsage(start);
      assert.ok(user + system < 300_000, `${user + system} µs`);
    });
  }

  it('whatever bytes, with a refusal and nothing else', (test) => {
    const random = randomOf(test);
    for (let round = 0; round < 2000; round++) {
      const bytes = Buffer.from(der);
      for (let spot = 0; spot <= round % 5; spot++) bytes[random.integer(bytes.length)] = random.integer(256);
      try {
        parseCertificate(bytes); // its signature is not looked at here, so that it may be taken
      } catch (error) {
        assert.ok(refused(/./)(error), `${bytes.toString('hex')}: ${error}`);
      }
    }
  });
});
