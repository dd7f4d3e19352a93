import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { parseCsr } from './csr.ts';
import { encodeName } from './distinguished-name.ts';
import { basicConstraints, extension } from './extensions.ts';
import {
  type Asn1,
  bitString,
  constructed,
  decodeDer,
  encodeDer,
  integer,
  oid,
  partsOf,
  primitive,
  sequence,
} from './forge.ts';
import { generateKey, type PrivateKey } from './keys.ts';
import { oids } from './oids.ts';
import { bytesOf, refused } from './x509-for-tests.ts';

describe('a request that is signed well', () => {
  let key: PrivateKey;
  before(async () => {
    key = await generateKey('ecdsa-p256');
  });

  const san = (...names: Asn1[]) => extension(oids.subjectAltName, encodeDer(sequence(...names)));
  const dns = (name: string) => primitive(2, bytesOf(name));
  const request = (...extensions: Asn1[]) =>
    sequence(oid(oids.extensionRequest), constructed('set', sequence(...extensions)));

  /** A request with some parts replaced, signed well. */
  function forged(parts: {
    version?: Asn1;
    subject?: Asn1;
    keyInfo?: Asn1;
    attributes?: Asn1[];
    more?: Asn1[];
    hash?: string;
    algorithm?: Asn1;
  }): Buffer {
    const info = sequence(
      parts.version ?? integer('0'),
      parts.subject ?? encodeName([], 'w1'),
      parts.keyInfo ?? decodeDer(key.publicKey.export({ type: 'spki', format: 'der' })),
      constructed(0, ...(parts.attributes ?? [])),
      ...(parts.more ?? []),
    );
    const signature = sign(parts.hash ?? 'sha256', encodeDer(info), key.key);
    return encodeDer(sequence(info, parts.algorithm ?? sequence(oid(oids.ecdsaWithSha256)), bitString(signature)));
  }

  it('is forged well here: the unchanged one is taken', () => {
    const parsed = parseCsr(forged({ attributes: [request(san(dns('w1')))] }));
    assert.deepEqual([parsed.commonName, parsed.dnsNames], ['w1', ['w1']]);
  });

  const rows: [what: string, make: () => Buffer, why: RegExp][] = [
    ['version 2', () => forged({ version: integer('1') }), /not of version 1/],
    [
      'two common names',
      () =>
        forged({
          subject: sequence(...partsOf(encodeName([], 'w1'), 'sequence'), ...partsOf(encodeName([], 'w2'), 'sequence')),
        }),
      /more than one common name/,
    ],
    [
      'a control character in the common name',
      () => forged({ subject: rawName('utf8', 'w1\0') }),
      /control characters/,
    ],
    [
      'half a surrogate pair',
      () => forged({ subject: decodeDer(Buffer.from('300d310b300906035504031e02d800', 'hex')) }),
      /half a surrogate pair/,
    ],
    ['UTF-8 that is none', () => forged({ subject: rawName('utf8', '\xff\xfe') }), /malformed/],
    [
      'bytes above ASCII in a PrintableString',
      () => forged({ subject: rawName('printable', '\xe4') }),
      /not the ASCII text/,
    ],
    ['a common name that is a number', () => forged({ subject: rawName('integer', '\x01') }), /something else/],
    [
      'an attribute twice',
      () => forged({ attributes: [request(san(dns('w1'))), request(san(dns('w2')))] }),
      /one attribute/,
    ],
    [
      'two lists of extensions',
      () =>
        forged({
          attributes: [
            sequence(
              oid(oids.extensionRequest),
              constructed('set', sequence(san(dns('w1'))), sequence(san(dns('w2')))),
            ),
          ],
        }),
      /more than one list/,
    ],
    [
      'an extension twice',
      () => forged({ attributes: [request(san(dns('w1')), san(dns('w2')))] }),
      /2\.5\.29\.17 stands there twice/,
    ],
    [
      '40 extensions',
      () =>
        forged({
          attributes: [
            request(...Array.from({ length: 40 }, (_, index) => extension(`1.2.${index}`, Buffer.from([5, 0])))),
          ],
        }),
      /more than 32 extensions/,
    ],
    [
      'an unknown extension',
      () => forged({ attributes: [request(extension('1.3.6.1.5.5.7.1.24', Buffer.from([5, 0])))] }),
      /asks for the extension 1\.3\.6\.1\.5\.5\.7\.1\.24/,
    ],
    [
      'an identifier that overflows to that of a known extension',
      () => forged({ attributes: [request(extensionWithId('551d8080808080808011'))] }),
      /identifier|asks for the extension/,
    ],
    [
      'an identifier with a number of 70 bits',
      () => forged({ attributes: [request(extensionWithId('551d81ffffffffffffffffff11'))] }),
      /asks for the extension oid:551d/,
    ],
    ['an authority', () => forged({ attributes: [request(basicConstraints(true))] }), /asks to be a CA/],
    ['no alternative names in the extension', () => forged({ attributes: [request(san())] }), /between 1 and 256/],
    [
      '300 alternative names',
      () => forged({ attributes: [request(san(...Array.from({ length: 300 }, () => dns('w'))))] }),
      /between 1 and 256/,
    ],
    ['a NUL in a DNS name', () => forged({ attributes: [request(san(dns('w1\0.evil')))] }), /not printable/],
    ['an empty DNS name', () => forged({ attributes: [request(san(dns('')))] }), /not printable/],
    [
      'a DNS name with a slash',
      () => forged({ attributes: [request(san(dns('w1/x')))] }),
      /DNS name "w1\/x" is malformed/,
    ],
    [
      'an address of 5 octets',
      () => forged({ attributes: [request(san(primitive(7, Buffer.alloc(5))))] }),
      /IP address/,
    ],
    [
      'a constructed DNS name',
      () => forged({ attributes: [request(san(constructed(2, dns('w1'))))] }),
      /something else/,
    ],
    [
      'an extension that is not DER inside',
      () => forged({ attributes: [request(extension(oids.subjectAltName, Buffer.from('3082000482027731', 'hex')))] }),
      /DER/,
    ],
    ['a further part', () => forged({ more: [integer('1')] }), /do not belong there/],
    [
      'the algorithm of RSA over an EC key',
      () => forged({ algorithm: sequence(oid(oids.sha256WithRsa)) }),
      /algorithm is not accepted/,
    ],
    ['the algorithm none', () => forged({ algorithm: sequence(oid('1.2.3')) }), /algorithm is not accepted/],
    [
      'parameters at ECDSA',
      () => forged({ algorithm: sequence(oid(oids.ecdsaWithSha256), primitive('null', Buffer.alloc(0))) }),
      /parameters/,
    ],
    ['another hash than it says', () => forged({ hash: 'sha384' }), /signature is wrong/],
    [
      'the key of another',
      () =>
        forged({
          keyInfo: decodeDer(
            generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' }),
          ),
        }),
      /signature is wrong/,
    ],
    [
      'a point that is not on the curve',
      () => forged({ keyInfo: spki(Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 1)])) }),
      /cannot be read/,
    ],
    ['the point at infinity', () => forged({ keyInfo: spki(Buffer.from([0])) }), /cannot be read|unusually|malformed/],
    ['a key that is no structure', () => forged({ keyInfo: integer('5') }), /something else/],
    [
      'a DSA key',
      () => forged({ keyInfo: decodeDer(dsaKey().export({ type: 'spki', format: 'der' })) }),
      /has parameters/,
    ],
  ];
  for (const [what, make, why] of rows) {
    it(`is refused with ${what}`, () => assert.throws(() => parseCsr(make()), refused(why)));
  }
});

function rawName(kind: 'utf8' | 'printable' | 'integer', text: string): Asn1 {
  return sequence(constructed('set', sequence(oid(oids.commonName), primitive(kind, bytesOf(text)))));
}

function extensionWithId(hex: string): Asn1 {
  return sequence(primitive('oid', Buffer.from(hex, 'hex')), primitive('octet-string', Buffer.from([5, 0])));
}

function spki(point: Buffer): Asn1 {
  return sequence(sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7')), bitString(point));
}

function dsaKey(): KeyObject {
  return generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }).publicKey;
}
