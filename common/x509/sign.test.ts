import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { chainsTo, keyMatches, parseCertificate, partsOfCertificate } from './certificate.ts';
import { encodeDer } from './forge.ts';
import { generateKey, loadKey } from './keys.ts';
import { type Openssl, opensslFolder } from './openssl-for-tests.ts';
import { createAuthority, newSerial, signCertificate } from './sign.ts';
import { authority, fieldsOf, notAfter, notBefore } from './x509-for-tests.ts';

/** The lines of an extension in the text of openssl. */
function shown(text: string, extension: string): string {
  return new RegExp(`X509v3 ${extension}: *(.*)\\n +(.*)\\n`).exec(text)?.slice(1, 3).join('|').trim() ?? '';
}

describe('signCertificate', () => {
  let openssl: Openssl;
  before(() => {
    openssl = opensslFolder();
  });
  after(() => openssl.remove());

  function verify(purpose: 'sslserver' | 'sslclient', ...more: string[]): string {
    return openssl.run('verify', '-x509_strict', '-CAfile', 'ca.pem', '-purpose', purpose, ...more, 'leaf.pem');
  }

  for (const caAlgorithm of ['ecdsa-p256', 'ecdsa-p384', 'rsa-2048'] as const) {
    for (const algorithm of ['ecdsa-p256', 'rsa-2048'] as const) {
      it(`signs an ${algorithm} leaf with an ${caAlgorithm} CA; openssl verifies both`, async () => {
        const ca = await authority(caAlgorithm);
        const key = await generateKey(algorithm);
        const fields = fieldsOf(key);
        openssl.write('ca.pem', ca.certificate.pem);
        openssl.write('leaf.pem', signCertificate(fields, ca));
        for (const purpose of ['sslserver', 'sslclient'] as const) assert.match(verify(purpose), /OK/);
        assert.match(verify('sslserver', '-verify_hostname', 'a.w1.example.org', '-verify_ip', '2001:db8::1'), /OK/);

        const text = openssl.run('x509', '-in', 'leaf.pem', '-noout', '-text');
        assert.match(text, /Version: 3/);
        assert.match(text, /Subject: O ?= ?system:nodes, CN ?= ?system:node:w1/);
        const name = {
          'ecdsa-p256': 'ecdsa-with-SHA256',
          'ecdsa-p384': 'ecdsa-with-SHA384',
          'rsa-2048': 'sha256WithRSAEncryption',
        };
        assert.equal(
          text.match(/Signature Algorithm: (.*)/g)?.join(),
          `Signature Algorithm: ${name[caAlgorithm]}`.concat(`,Signature Algorithm: ${name[caAlgorithm]}`),
        );
        assert.equal(
          shown(text, 'Key Usage'),
          `critical|Digital Signature${algorithm === 'rsa-2048' ? ', Key Encipherment' : ''}`,
        );
        assert.equal(shown(text, 'Basic Constraints'), 'critical|CA:FALSE');
        assert.equal(
          shown(text, 'Extended Key Usage'),
          '|TLS Web Server Authentication, TLS Web Client Authentication',
        );
        assert.equal(
          shown(text, 'Subject Alternative Name'),
          '|DNS:w1, DNS:*.w1.example.org, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1, URI:spiffe://fleet/node/w1',
        );
        const caText = openssl.run('x509', '-in', 'ca.pem', '-noout', '-text');
        assert.equal(shown(caText, 'Key Usage'), 'critical|Digital Signature, Certificate Sign, CRL Sign');
        assert.equal(shown(caText, 'Basic Constraints'), 'critical|CA:TRUE');
        assert.equal(shown(text, 'Authority Key Identifier'), shown(caText, 'Subject Key Identifier'));
      });
    }
  }

  it('gives what parseCertificate reads back', async () => {
    const ca = await authority();
    const key = await generateKey('ecdsa-p256');
    const fields = fieldsOf(key);
    const read = parseCertificate(signCertificate(fields, ca));
    assert.equal(read.serial, fields.serial);
    assert.equal(read.subject, 'O=system:nodes, CN=system:node:w1');
    assert.equal(read.issuer, 'CN=kubernetes');
    assert.equal(read.notBefore.getTime(), Math.floor(notBefore.getTime() / 1000) * 1000);
    assert.equal(read.notAfter.getTime(), Math.floor(notAfter.getTime() / 1000) * 1000);
    assert.deepEqual(read.dnsNames, fields.dnsNames);
    assert.deepEqual(read.ipAddresses, ['10.0.0.1', '2001:db8::1']);
    assert.deepEqual(read.uris, fields.uris);
    assert.deepEqual([read.ca, read.usages, keyMatches(key, read)], [false, ['server', 'client'], true]);
    assert.equal(chainsTo(read, [ca.certificate], new Date()), undefined);
  });

  it('makes the subject key identifier by method 1 of RFC 5280, as openssl does', async () => {
    const key = await generateKey('ecdsa-p256');
    openssl.write('leaf.pem', signCertificate(fieldsOf(key), await authority()));
    openssl.write('k.pem', key.pem);
    openssl.run(
      'req',
      '-x509',
      '-key',
      'k.pem',
      '-subj',
      '/CN=x',
      '-addext',
      'subjectKeyIdentifier=hash',
      '-out',
      'theirs.pem',
    );
    const ids = ['leaf.pem', 'theirs.pem'].map((file) =>
      shown(openssl.run('x509', '-in', file, '-noout', '-text'), 'Subject Key Identifier'),
    );
    assert.equal(ids[0], ids[1]);
  });

  it('limits a leaf to the usage it was given', async () => {
    const ca = await authority();
    const key = await generateKey('ecdsa-p256');
    openssl.write('ca.pem', ca.certificate.pem);
    openssl.write('leaf.pem', signCertificate(fieldsOf(key, { usages: ['client'] }), ca));
    assert.match(verify('sslclient'), /OK/);
    assert.throws(() => verify('sslserver'));
    openssl.write('leaf.pem', signCertificate(fieldsOf(key, { usages: ['server'] }), ca));
    assert.match(verify('sslserver'), /OK/);
    assert.throws(() => verify('sslclient'));
  });

  it('leaves out usages, names and organizations that are not asked for', async () => {
    const bare = fieldsOf(await generateKey('ecdsa-p256'), {
      usages: [],
      dnsNames: [],
      ipAddresses: [],
      uris: [],
      organizations: [],
    });
    openssl.write('leaf.pem', signCertificate(bare, await authority()));
    const text = openssl.run('x509', '-in', 'leaf.pem', '-noout', '-text');
    assert.doesNotMatch(text, /Alternative|Extended/);
    assert.match(text, /Subject: CN ?= ?system:node:w1/);
  });

  const adopted: [name: string, make: string[]][] = [
    ['RSA, UTF8String', ['-newkey', 'rsa:2048', '-subj', '/O=Größe GmbH/CN=etcd-ca', '-utf8']],
    [
      'RSA 4096, long name',
      ['-newkey', 'rsa:4096', '-subj', '/C=DE/ST=Bayern/L=Ort/O=Firma/OU=Abteilung/CN=kubernetes'],
    ],
    ['a name of several attributes in one', ['-newkey', 'rsa:2048', '-subj', '/O=a+OU=b/CN=c', '-multivalue-rdn']],
    ['BMPString', ['-newkey', 'rsa:2048', '-subj', '/CN=größe', '-utf8', '-config', 'bmp.cnf']],
    ['its own key identifier', ['-newkey', 'rsa:2048', '-subj', '/CN=kubernetes', '-config', 'own.cnf']],
    [
      'no key identifier',
      ['-newkey', 'rsa:2048', '-subj', '/CN=kubernetes', '-config', 'bare.cnf', '-extensions', 'v3'],
    ],
    ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-subj', '/CN=kubernetes']],
  ];
  for (const [name, make] of adopted) {
    it(`signs P-256 leaves with a CA of openssl (${name}), naming it byte for byte`, async () => {
      openssl.write(
        'bmp.cnf',
        '[req]\nstring_mask=pkix\ndistinguished_name=d\nx509_extensions=v3\n[d]\n[v3]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n',
      );
      openssl.write(
        'own.cnf',
        '[req]\ndistinguished_name=d\nx509_extensions=v3\n[d]\n[v3]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=01020304\nauthorityKeyIdentifier=none\n',
      );
      openssl.write(
        'bare.cnf',
        '[req]\ndistinguished_name=d\n[d]\n[v3]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n',
      );
      openssl.run('req', '-x509', '-noenc', ...make, '-days', '10', '-keyout', 'ca.key', '-out', 'ca.pem');
      const ca = { certificate: parseCertificate(openssl.text('ca.pem')), key: loadKey(openssl.text('ca.key')) };
      const pem = signCertificate(fieldsOf(await generateKey('ecdsa-p256')), ca);
      openssl.write('leaf.pem', pem);
      for (const purpose of ['sslserver', 'sslclient']) {
        assert.match(openssl.run('verify', '-CAfile', 'ca.pem', '-purpose', purpose, 'leaf.pem'), /OK/);
      }
      const leaf = parseCertificate(pem);
      assert.equal(chainsTo(leaf, [ca.certificate], new Date()), undefined);
      assert.deepEqual(
        encodeDer(partsOfCertificate(leaf.x509.raw).issuer),
        encodeDer(partsOfCertificate(ca.certificate.x509.raw).subject),
      );
      const keyIds = [
        shown(openssl.run('x509', '-in', 'leaf.pem', '-noout', '-text'), 'Authority Key Identifier'),
        shown(openssl.run('x509', '-in', 'ca.pem', '-noout', '-text'), 'Subject Key Identifier'),
      ];
      assert.equal(keyIds[0], keyIds[1]);
      assert.equal(keyIds[0] === '', name === 'no key identifier');
    });
  }

  it('can sign another CA, as a new root is cross-signed by the old one', async () => {
    const ca = await authority();
    const next = await authority('rsa-2048', 'kubernetes-2');
    const fields = fieldsOf(next.key, {
      commonName: 'kubernetes-2',
      organizations: [],
      usages: [],
      dnsNames: [],
      ipAddresses: [],
      uris: [],
      ca: true,
    });
    openssl.write('ca.pem', ca.certificate.pem);
    openssl.write('cross.pem', signCertificate(fields, ca));
    openssl.write('leaf.pem', signCertificate(fieldsOf(await generateKey('ecdsa-p256')), next));
    assert.match(verify('sslserver', '-untrusted', 'cross.pem'), /OK/);
    assert.throws(() => verify('sslserver'));
  });

  it('signs with an encrypted-at-rest key of a CA that lives beyond 2049, in GeneralizedTime', async () => {
    const far = new Date('2050-01-01T00:00:00.999Z');
    const near = new Date('2049-12-31T23:59:59Z');
    const ca = await createAuthority({
      commonName: 'far',
      serial: '1',
      algorithm: 'ecdsa-p256',
      notBefore: near,
      notAfter: far,
    });
    openssl.write('ca.pem', ca.certificate.pem);
    assert.match(
      openssl.run('asn1parse', '-in', 'ca.pem'),
      /UTCTIME +:491231235959Z\n.*GENERALIZEDTIME +:20500101000000Z/,
    );
    assert.equal(ca.certificate.notAfter.toISOString(), '2050-01-01T00:00:00.000Z');
    const leaf = parseCertificate(
      signCertificate(fieldsOf(ca.key, { notBefore: near, notAfter: far }), {
        ...ca,
        certificate: { ...ca.certificate, notAfter: far },
      }),
    );
    assert.equal(leaf.notAfter.toISOString(), '2050-01-01T00:00:00.000Z');
  });

  it('takes a common name longer than 64 characters, as long node names need it', async () => {
    const ca = await authority();
    const commonName = `system:node:${'n'.repeat(63)}.${'d'.repeat(63)}`;
    openssl.write('ca.pem', ca.certificate.pem);
    openssl.write('leaf.pem', signCertificate(fieldsOf(await generateKey('ecdsa-p256'), { commonName }), ca));
    assert.match(verify('sslclient'), /OK/);
    assert.equal(parseCertificate(openssl.text('leaf.pem')).commonName, commonName);
  });

  it('keeps what looks like another name inside a value', async () => {
    const fields = fieldsOf(await generateKey('ecdsa-p256'), {
      commonName: 'a, O=system:masters',
      organizations: ['x+CN=y', 'Ä'],
    });
    const read = parseCertificate(signCertificate(fields, await authority()));
    assert.equal(read.commonName, 'a, O=system:masters');
    assert.deepEqual(read.organizations, ['x+CN=y', 'Ä']);
    assert.equal(read.subject, 'O=x\\+CN\\=y, O=Ä, CN=a\\, O\\=system:masters');
  });
});

describe('newSerial', () => {
  it('gives up to 127 random bits in hex without leading zeros, never the same', () => {
    const serials = new Set(Array.from({ length: 2000 }, newSerial));
    assert.equal(serials.size, 2000);
    for (const serial of serials) assert.match(serial, /^[1-9a-f][0-9a-f]{0,31}$/);
    for (const serial of serials) assert.ok(BigInt(`0x${serial}`) < 2n ** 127n);
    // the highest of the 127 bits is set in half of them
    const high = [...serials].filter((serial) => BigInt(`0x${serial}`) >= 2n ** 126n).length;
    assert.ok(high > 800 && high < 1200, `${high}`);
  });
});

describe('createAuthority', () => {
  it('gives a self-signed CA that has its own key and says so', async () => {
    const { certificate, key } = await authority('ecdsa-p384', 'kube-mtls fleet');
    assert.deepEqual(
      [certificate.ca, certificate.subject, certificate.issuer],
      [true, 'CN=kube-mtls fleet', 'CN=kube-mtls fleet'],
    );
    assert.ok(keyMatches(key, certificate));
    assert.equal(chainsTo(certificate, [certificate], new Date()), undefined);
    assert.equal(certificate.sha256, createHash('sha256').update(certificate.x509.raw).digest('hex'));
  });
});
