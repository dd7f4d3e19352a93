import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { createCsr, parseCsr } from './csr.ts';
import { generateKey, loadKey, publicKeyPin } from './keys.ts';
import { type Openssl, opensslFolder } from './openssl-for-tests.ts';
import { bytesOf, derOf, refused } from './x509-for-tests.ts';

describe('requests and openssl', () => {
  let openssl: Openssl;
  before(() => {
    openssl = opensslFolder();
  });
  after(() => openssl.remove());

  for (const algorithm of ['ecdsa-p256', 'ecdsa-p384', 'rsa-2048'] as const) {
    it(`writes a request with ${algorithm} that openssl verifies and that is read back`, async () => {
      const key = await generateKey(algorithm);
      const names = {
        commonName: 'system:node:w1',
        dnsNames: ['W1.example.org'],
        ipAddresses: ['10.0.0.1', '2001:DB8::1'],
      };
      const pem = createCsr(key, names);
      openssl.write('ours.csr', pem);
      const text = openssl.run('req', '-in', 'ours.csr', '-verify', '-noout', '-text');
      assert.match(text, /Subject: CN ?= ?system:node:w1/);
      assert.match(text, /DNS:w1.example.org, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1/);
      assert.match(
        text,
        algorithm === 'ecdsa-p384' ? /ecdsa-with-SHA384/ : /ecdsa-with-SHA256|sha256WithRSAEncryption/,
      );

      const parsed = parseCsr(bytesOf(pem));
      assert.ok(parsed.publicKey.equals(key.publicKey));
      assert.deepEqual(
        { ...parsed, publicKey: undefined },
        {
          publicKey: undefined,
          publicKeyPin: publicKeyPin(key.publicKey),
          commonName: 'system:node:w1',
          dnsNames: ['w1.example.org'],
          ipAddresses: ['10.0.0.1', '2001:db8::1'],
          otherNames: [],
        },
      );
      assert.deepEqual(parseCsr(derOf(pem)), parsed);
    });
  }

  it('writes a request without alternative names', async () => {
    const pem = createCsr(await generateKey('ecdsa-p256'), { commonName: 'kube-mtls:probe:w1' });
    openssl.write('ours.csr', pem);
    assert.doesNotMatch(openssl.run('req', '-in', 'ours.csr', '-verify', '-noout', '-text'), /Alternative/);
    assert.deepEqual(parseCsr(bytesOf(pem)).dnsNames, []);
  });

  const kinds: [name: string, newkey: string[]][] = [
    ['RSA', ['-newkey', 'rsa:2048']],
    ['RSA signed with SHA-512', ['-newkey', 'rsa:2048', '-sha512']],
    ['P-256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
    ['P-256 signed with SHA-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-sha384']],
    ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
  ];
  for (const [name, newkey] of kinds) {
    it(`reads a request of openssl with ${name} and alternative names`, () => {
      const san = 'subjectAltName=DNS:Etcd-1,DNS:localhost,IP:127.0.0.1,IP:fd00:0:0::1';
      openssl.run(
        'req',
        '-new',
        ...newkey,
        '-noenc',
        '-keyout',
        'k.pem',
        '-subj',
        '/CN=etcd-1',
        '-addext',
        san,
        '-out',
        'c.csr',
      );
      const parsed = parseCsr(openssl.read('c.csr'));
      assert.equal(parsed.commonName, 'etcd-1');
      assert.deepEqual(parsed.dnsNames, ['etcd-1', 'localhost']);
      assert.deepEqual(parsed.ipAddresses, ['127.0.0.1', 'fd00::1']);
      assert.deepEqual(parsed.otherNames, []);
      assert.equal(parsed.publicKeyPin, publicKeyPin(loadKey(openssl.text('k.pem')).publicKey));
    });
  }

  it('tells every other name that openssl can ask for, so that policy can refuse it by name', () => {
    const san = 'subjectAltName=URI:spiffe://fleet/node/w2,email:root@example.org,RID:1.2.3.4,otherName:1.2.3;UTF8:x';
    const subject = '/C=DE/O=system:masters/OU=ops/CN=w1/emailAddress=a@b';
    openssl.run(
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-noenc',
      '-keyout',
      'k.pem',
      '-subj',
      subject,
      '-addext',
      san,
      '-out',
      'c.csr',
    );
    assert.deepEqual(parseCsr(openssl.read('c.csr')).otherNames, [
      'uri:spiffe://fleet/node/w2',
      'email:root@example.org',
      '[8]:88032a0304',
      '[0]:a00906022a03a0030c0178',
      'O=system:masters',
      'C=DE',
      'OU=ops',
      'emailAddress=a@b',
    ]);
  });

  it('reads a request with the other usual extensions, in the old PEM label and with CRLF', () => {
    const extensions = [
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=digitalSignature',
      'extendedKeyUsage=serverAuth',
      'subjectKeyIdentifier=hash',
    ];
    const options = extensions.flatMap((one) => ['-addext', one]);
    openssl.run(
      'req',
      '-new',
      '-newhdr',
      '-newkey',
      'rsa:2048',
      '-noenc',
      '-keyout',
      'k.pem',
      '-subj',
      '/CN=w1',
      ...options,
      '-out',
      'c.csr',
    );
    const text = openssl.text('c.csr');
    assert.match(text, /BEGIN NEW CERTIFICATE REQUEST/);
    assert.equal(parseCsr(bytesOf(`\r\n${text.replaceAll('\n', '\r\n')}\n\n`)).commonName, 'w1');
  });

  const weak: [name: string, newkey: string[], why: RegExp][] = [
    ['RSA 1024', ['-newkey', 'rsa:1024'], /1024 bits is not accepted/],
    ['Ed25519', ['-newkey', 'ed25519'], /type ed25519/],
    ['P-521', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521'], /curve secp521r1/],
    ['secp256k1', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'], /curve secp256k1/],
    [
      'explicit curve parameters',
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-pkeyopt', 'ec_param_enc:explicit'],
      /use a named curve/,
    ],
    ['RSA-PSS', ['-newkey', 'rsa-pss', '-pkeyopt', 'rsa_keygen_bits:2048'], /type rsa-pss/],
    ['SHA-1', ['-newkey', 'rsa:2048', '-sha1'], /signature algorithm is not accepted/],
    ['PSS padding', ['-newkey', 'rsa:2048', '-sigopt', 'rsa_padding_mode:pss'], /signature algorithm is not accepted/],
  ];
  for (const [name, newkey, why] of weak) {
    it(`refuses a request of openssl with ${name}`, () => {
      openssl.run('req', '-new', ...newkey, '-noenc', '-keyout', 'k.pem', '-subj', '/CN=w1', '-out', 'c.csr');
      assert.throws(() => parseCsr(openssl.read('c.csr')), refused(why));
    });
  }

  it('refuses a compressed point: the same key would have a second pin', () => {
    openssl.run('ecparam', '-genkey', '-name', 'prime256v1', '-conv_form', 'compressed', '-noout', '-out', 'k.pem');
    openssl.run('ec', '-in', 'k.pem', '-conv_form', 'compressed', '-out', 'k2.pem');
    openssl.run('req', '-new', '-key', 'k2.pem', '-subj', '/CN=w1', '-out', 'c.csr');
    assert.throws(() => parseCsr(openssl.read('c.csr')), refused(/encoded unusually/));
  });

  it('refuses a challenge password, which is an attribute that nobody asked for', () => {
    openssl.write(
      'c.cnf',
      '[req]\nprompt=no\ndistinguished_name=d\nattributes=a\n[d]\nCN=w1\n[a]\nchallengePassword=secret1\n',
    );
    openssl.run(
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-noenc',
      '-keyout',
      'k.pem',
      '-config',
      'c.cnf',
      '-out',
      'c.csr',
    );
    assert.throws(() => parseCsr(openssl.read('c.csr')), refused(/one attribute, the extension request/));
  });
});

describe('createCsr', () => {
  const names: [what: string, names: Parameters<typeof createCsr>[1]][] = [
    ['an empty common name', { commonName: '' }],
    ['a line feed in the common name', { commonName: 'a\nb' }],
    ['half a character', { commonName: '\ud800' }],
    ['a DNS name with a space', { commonName: 'a', dnsNames: ['a b'] }],
    ['a DNS name with a NUL', { commonName: 'a', dnsNames: ['good.example\0.evil'] }],
    ['a DNS name with a wildcard inside', { commonName: 'a', dnsNames: ['a.*.b'] }],
    ['an address that is none', { commonName: 'a', ipAddresses: ['10.0.0.0/8'] }],
    ['too many names', { commonName: 'a', dnsNames: Array.from({ length: 257 }, (_, index) => `n${index}`) }],
  ];
  for (const [what, wanted] of names) {
    it(`refuses ${what}`, async () => {
      const key = await generateKey('ecdsa-p256');
      assert.throws(() => createCsr(key, wanted), refused(/./));
    });
  }

  it('refuses a weak key', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const key = loadKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    assert.throws(() => createCsr(key, { commonName: 'a' }), refused(/1024 bits/));
  });
});
