import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Signer } from '../../common/x509/sign.ts';
import { makeAuthority } from './fake-authorities.ts';
import { issueOdd, type Odd } from './odd-certificate-for-tests.ts';
import { readServed, type ServedCertificate } from './served-certificate.ts';

let signer: Signer;
before(async () => {
  signer = await makeAuthority('kubernetes');
});

const rows: [what: string, odd: Odd, expected: Partial<ServedCertificate>][] = [
  [
    'names with spaces, an underscore, a wildcard in the middle and a comma',
    { names: ['DNS.1=K8s foo bar', 'DNS.2=a_b.example', 'DNS.3=x.*.example', 'DNS.4="a, DNS:b"', 'DNS.5=lb.example'] },
    { dnsNames: ['k8s foo bar', 'a_b.example', 'x.*.example', 'a, dns:b', 'lb.example'] },
  ],
  [
    'addresses of both kinds',
    { names: ['IP.1=192.0.2.9', 'IP.2=2001:db8::1'] },
    { ipAddresses: ['192.0.2.9', '2001:db8::1'] },
  ],
  [
    'names of other kinds',
    {
      names: ['email.1=a@b.example', 'URI.1=spiffe://lab/x', 'RID.1=1.2.3.4', 'otherName.1=1.2.3.4;UTF8:x', 'DNS.1=c'],
    },
    {
      dnsNames: ['c'],
      otherNames: ['email:a@b.example', 'URI:spiffe://lab/x', 'Registered ID:1.2.3.4', 'othername:<unsupported>'],
    },
  ],
  ['a negative serial number', { serial: '-5', names: ['DNS.1=a'] }, { dnsNames: ['a'] }],
  ['an old algorithm', { digest: 'sha1', names: ['DNS.1=a'] }, { dnsNames: ['a'] }],
  [
    'a subject in UTF-16',
    { stringMask: 'MASK:0x800', subject: ['O=Größe', 'CN=api'] },
    { subject: 'O=Größe, CN=api', commonName: 'api', organizations: ['Größe'], dnsNames: [], otherNames: [] },
  ],
];

describe('readServed', () => {
  for (const [what, odd, expected] of rows) {
    it(`reads ${what}`, () => {
      const certificate = readServed(issueOdd(signer, odd));
      assert.equal(certificate.issuer, 'CN=kubernetes');
      assert.ok(certificate.notAfterMs > Date.UTC(2026, 0, 1));
      for (const [key, value] of Object.entries(expected)) {
        assert.deepEqual(Reflect.get(certificate, key), value, key);
      }
    });
  }
});
