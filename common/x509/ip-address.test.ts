import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { canonicalIp, ipFromBytes, ipToBytes } from './ip-address.ts';

describe('canonicalIp', () => {
  const rows: [text: string, canonical: string | undefined][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::0:1', '2001:db8::1'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:0A00:0001', '10.0.0.1'],
    ['fe80::1%eth0', undefined],
    ['10.0.0.01', undefined],
    ['10.0.0', undefined],
    ['10.0.0.1/24', undefined],
    ['0x0a000001', undefined],
    [' 10.0.0.1', undefined],
    ['1:2:3:4:5:6:7:8:9', undefined],
    ['', undefined],
  ];
  for (const [text, canonical] of rows) {
    it(`makes ${JSON.stringify(text)} ${canonical ?? 'no address'}`, () => assert.equal(canonicalIp(text), canonical));
  }
});

describe('ipToBytes and ipFromBytes', () => {
  const rows: [text: string, hex: string][] = [
    ['10.0.0.255', '0a0000ff'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['2001:db8::', '20010db8000000000000000000000000'],
    ['2001:db8::a:0:1', '20010db8000000000000000a00000001'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::1.2.3.4', '00000000000000000000000001020304'],
  ];
  for (const [text, hex] of rows) {
    it(`writes ${text} and reads it back`, () => {
      const bytes = ipToBytes(text);
      assert.equal(bytes?.toString('hex'), hex);
      assert.equal(ipFromBytes(Buffer.from(hex, 'hex')), canonicalIp(text));
    });
  }

  it('writes an IPv4-mapped address as IPv4 and reads it as IPv4', () => {
    assert.equal(ipToBytes('::ffff:10.0.0.1')?.toString('hex'), '0a000001');
    assert.equal(ipFromBytes(Buffer.from('00000000000000000000ffff0a000001', 'hex')), '10.0.0.1');
  });

  it('refuses octets with a mask, as name constraints have them', () => {
    assert.equal(ipFromBytes(Buffer.alloc(8)), undefined);
    assert.equal(ipFromBytes(Buffer.alloc(0)), undefined);
  });
});
