import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hostOf, isLoopback, portOf } from './host-port.ts';

describe('hosts and ports', () => {
  for (const [address, host, port] of [
    ['10.77.0.10:6443', '10.77.0.10', '6443'],
    ['10.77.0.10', '10.77.0.10', ''],
    ['API.Example:443', 'api.example', '443'],
    ['[::1]:2379', '::1', '2379'],
    ['[fe80::1%eth0]:2379', 'fe80::1', '2379'],
    ['::1', '::1', ''],
    ['fd00::10', 'fd00::10', ''],
    ['::ffff:10.77.0.10', '10.77.0.10', ''],
    ['[::ffff:10.77.0.10]:80', '10.77.0.10', '80'],
    ['', '', ''],
  ] as const) {
    it(`takes "${address}" apart`, () => assert.deepEqual([hostOf(address), portOf(address)], [host, port]));
  }

  it('knows what is loopback and what only looks like it', () => {
    assert.deepEqual(['127.0.0.1', '127.1.2.3', '::1', 'localhost'].map(isLoopback), [true, true, true, true]);
    assert.deepEqual(['127.0.0.1.evil.example', '10.127.0.1', '', 'localhost.evil'].map(isLoopback), [
      false,
      false,
      false,
      false,
    ]);
  });
});
