import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { randomOf } from '../random/random-for-tests.ts';
import { createCsr, parseCsr } from './csr.ts';
import { type Asn1, bitString, encodeDer, primitive, sequence } from './forge.ts';
import { generateKey, type PrivateKey } from './keys.ts';
import { toPem } from './pem.ts';
import { bytesOf, derOf, refused } from './x509-for-tests.ts';

describe('a hostile request', () => {
  let key: PrivateKey;
  let pem: string;
  before(async () => {
    key = await generateKey('ecdsa-p256');
    pem = createCsr(key, { commonName: 'w1', dnsNames: ['w1'] });
  });

  it('is refused when any single byte of it is changed', () => {
    const der = derOf(pem);
    for (let index = 0; index < der.length; index++) {
      const changed = Buffer.from(der);
      changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
      assert.throws(() => parseCsr(changed), refused(/./), `byte ${index}`);
    }
  });

  it('is refused when it is cut anywhere', () => {
    const der = derOf(pem);
    for (let length = 0; length < der.length; length++) {
      assert.throws(() => parseCsr(der.subarray(0, length)), refused(/./), `length ${length}`);
    }
  });

  const shells: [what: string, make: () => Buffer, why: RegExp][] = [
    ['nothing', () => Buffer.alloc(0), /neither DER nor exactly one PEM block/],
    ['a byte after the DER', () => Buffer.concat([derOf(pem), Buffer.from([0])]), /malformed/],
    ['a line feed after the DER', () => Buffer.concat([derOf(pem), Buffer.from('\n')]), /malformed/],
    [
      'a byte after the DER inside PEM',
      () => bytesOf(toPem('CERTIFICATE REQUEST', Buffer.concat([derOf(pem), Buffer.from([0])]))),
      /malformed/,
    ],
    ['text before the PEM', () => bytesOf(`x\n${pem}`), /exactly one PEM block/],
    ['text after the PEM', () => bytesOf(`${pem}x`), /exactly one PEM block/],
    ['two PEM blocks', () => bytesOf(pem + pem), /exactly one PEM block/],
    [
      'a certificate label',
      () => bytesOf(pem.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE')),
      /exactly one PEM block/,
    ],
    [
      'labels that differ',
      () => bytesOf(pem.replace('END CERTIFICATE', 'END NEW CERTIFICATE')),
      /exactly one PEM block/,
    ],
    [
      'an empty PEM block',
      () => bytesOf('-----BEGIN CERTIFICATE REQUEST----------END CERTIFICATE REQUEST-----'),
      /base64/,
    ],
    ['PEM headers', () => bytesOf(pem.replace('REQUEST-----\n', 'REQUEST-----\nProc-Type: 4,ENCRYPTED\n\n')), /base64/],
    ['base64 with strange characters', () => bytesOf(pem.replace('\nMI', '\nM*I')), /base64/],
    ['UTF-16', () => Buffer.from(pem, 'utf16le'), /exactly one PEM block/],
    [
      'an indefinite length',
      () => Buffer.concat([Buffer.from([0x30, 0x80]), derOf(pem).subarray(3), Buffer.from([0, 0])]),
      /DER|malformed/,
    ],
    [
      'a length in more bytes than needed',
      () => Buffer.concat([Buffer.from([0x30, 0x82, 0]), derOf(pem).subarray(2)]),
      /not DER/,
    ],
  ];
  for (const [what, make, why] of shells) {
    it(`is refused with ${what}`, () => assert.throws(() => parseCsr(make()), refused(why)));
  }

  const large: [what: string, make: () => Buffer, why: RegExp][] = [
    ['1 MB of junk', () => randomBytes(1 << 20), /more than 16384 bytes/],
    [
      '1 MB of zeros that say sequence',
      () => Buffer.concat([Buffer.from([0x30]), Buffer.alloc(1 << 20)]),
      /more than 16384/,
    ],
    ['a PEM of 1 MB', () => bytesOf(toPem('CERTIFICATE REQUEST', randomBytes(750_000))), /more than 16384/],
    ['16 KiB of nested sequences', () => nested(16_000), /malformed/],
    [
      'nested sequences that end in an indefinite length',
      () => Buffer.alloc(16_384, Buffer.from([0x30, 0x80])),
      /malformed/,
    ],
    [
      '16 KiB of empty bit strings',
      () => encodeDer(sequence(...Array.from({ length: 5400 }, () => bitString([])))),
      /do not belong|something else/,
    ],
    [
      '16 KiB of nulls in nested sequences',
      () =>
        encodeDer(
          deep(
            20,
            Array.from({ length: 8000 }, () => primitive('null', Buffer.alloc(0))),
          ),
        ),
      /something else/,
    ],
    ['a length of 4 GB', () => Buffer.from('3084ffffffff00', 'hex'), /malformed/],
    ['a length of 127 bytes', () => Buffer.concat([Buffer.from([0x30, 0xff]), Buffer.alloc(300, 0xff)]), /malformed/],
    ['16 KiB of whitespace', () => Buffer.alloc(16_384, 0x20), /exactly one PEM block/],
  ];
  for (const [what, make, why] of large) {
    it(`is refused within 200 ms of work with ${what}`, () => {
      const bytes = make();
      const start = process.threadCpuUsage();
      assert.throws(() => parseCsr(bytes), refused(why));
      const { user, system } = process.threadCpuUsage(start);
      assert.ok(user + system < 200_000, `${user + system} µs`);
    });
  }

  it('never throws anything but a refusal, whatever the bytes are', (test) => {
    const random = randomOf(test);
    const der = derOf(pem);
    for (let round = 0; round < 3000; round++) {
      const bytes =
        round % 3 === 0 ? Buffer.concat([Buffer.from([0x30]), random.bytes(round % 200)]) : Buffer.from(der);
      for (let spot = 0; spot <= round % 8; spot++) bytes[random.integer(bytes.length)] = random.integer(256);
      try {
        parseCsr(bytes);
        assert.ok(bytes.equals(der), 'a changed request was taken');
      } catch (error) {
        assert.ok(refused(/./)(error), `${bytes.toString('hex')}: ${error}`);
      }
    }
  });
});

/** Sequences within sequences, as many as fit. */
function nested(size: number): Buffer {
  const headers: Buffer[] = [];
  for (let inside = size; inside > 4; inside -= 4) {
    headers.push(Buffer.from([0x30, 0x82, (inside - 4) >> 8, (inside - 4) & 0xff]));
  }
  return Buffer.concat([...headers, Buffer.alloc(4)]).subarray(0, size);
}

function deep(levels: number, parts: Asn1[]): Asn1 {
  return levels === 0 ? sequence(...parts) : sequence(deep(levels - 1, parts));
}
