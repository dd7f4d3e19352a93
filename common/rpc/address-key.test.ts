import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addressKey } from './address-key.ts';

describe('addressKey', () => {
  const same: [string, string][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::ffff:0a00:0001', '10.0.0.1'],
    ['fd00::1', 'fd00:0:0:0:ffff::9'],
    ['FD00::1', 'fd00::2'],
    ['fe80::1%eth0', 'fe80::1'],
    ['', ''],
  ];
  for (const [left, right] of same) {
    it(`counts ${left || 'no address'} and ${right || 'no address'} as one`, () => {
      assert.equal(addressKey(left), addressKey(right));
    });
  }

  const apart: [string, string][] = [
    ['10.0.0.1', '10.0.0.2'],
    ['127.0.0.1', '127.0.0.2'],
    ['fd00::1', 'fd00:0:0:1::1'],
    ['::1', '127.0.0.1'],
    ['10.0.0.1', ''],
  ];
  for (const [left, right] of apart) {
    it(`counts ${left} and ${right || 'no address'} apart`, () => {
      assert.notEqual(addressKey(left), addressKey(right));
    });
  }
});
