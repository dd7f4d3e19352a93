import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { isNamePattern, matchesName } from './name-pattern.ts';
import { isInNetworks, isReachableAddress, parseNetwork } from './source-network.ts';
import { hashSecret, newToken, parseToken, secretMatches } from './token-text.ts';

describe('name patterns', () => {
  const rows: [pattern: string, name: string, matches: boolean][] = [
    ['w1', 'w1', true],
    ['w1', 'w11', false],
    ['w1', 'aw1', false],
    ['w*', 'w', true],
    ['w*', 'w1', true],
    ['w*', 'w1.evil.example', false],
    ['*', 'w1', true],
    ['*', 'a.b', false],
    ['*.*', 'a.b', true],
    ['w*.lab', 'w1.lab', true],
    ['w*.lab', 'w1.xlab', false],
    ['*-a-*', 'x-a-y-a-z', true],
    ['*ab', 'aab', true],
    ['a*b*c', 'aXbYc', true],
    ['a*b*c', 'acb', false],
    ['w.1', 'wx1', false],
    [`${'*a'.repeat(30)}b`, 'a'.repeat(63), false],
  ];
  for (const [pattern, name, matches] of rows) {
    it(`${pattern.slice(0, 20)} ${matches ? 'matches' : 'does not match'} ${name.slice(0, 20)}`, () => {
      assert.equal(matchesName(name, [pattern]), matches);
      assert.equal(matchesName(name, ['other', pattern]), matches);
    });
  }

  it('match any name when there are none', () => assert.equal(matchesName('x', []), true));

  it('are checked before they are stored', () => {
    for (const good of ['w1', '*', 'w-*.lab', '*a*']) assert.equal(isNamePattern(good), true, good);
    for (const bad of ['', 'W1', 'a_b', 'a..b', '.a', 'a.', '-a', 'a b', '[a]', 'a?', 'a\n', `${'a'.repeat(64)}`]) {
      assert.equal(isNamePattern(bad), false, bad);
    }
  });
});

describe('source networks', () => {
  const rows: [address: string, networks: string[], inside: boolean][] = [
    ['10.0.0.5', ['10.0.0.0/24'], true],
    ['10.0.1.5', ['10.0.0.0/24'], false],
    ['10.0.1.5', ['10.0.0.0/24', '10.0.1.0/24'], true],
    ['::ffff:10.0.0.5', ['10.0.0.0/24'], true],
    ['::ffff:a00:5', ['10.0.0.0/24'], true],
    ['10.0.0.5', ['::/0'], false],
    ['fd00::5', ['0.0.0.0/0'], false],
    ['fd00::5', ['fd00::/64'], true],
    ['fd00:0:0:1::5', ['fd00::/64'], false],
    ['10.0.0.5', ['10.0.0.5/32'], true],
    ['10.0.0.5', [], false],
    ['not an address', ['0.0.0.0/0', '::/0'], false],
    ['fe80::1%eth0', ['fe80::/10'], false],
  ];
  for (const [address, networks, inside] of rows) {
    it(`${address} is ${inside ? '' : 'not '}in ${networks.join(', ') || 'none'}`, () => {
      assert.equal(isInNetworks(address, networks.map(parseNetwork)), inside);
    });
  }

  it('are written in one form', () => {
    assert.equal(parseNetwork('FD00:0::/64'), 'fd00::/64');
    for (const bad of [
      '',
      '10.0.0.0',
      '10.0.0.0/33',
      '10.0.0/8',
      'fd00::/129',
      '10.0.0.0/8/8',
      '10.0.0.0/-1',
      '10.0.0.0/ 8',
      '10.0.0.0/0x8',
    ]) {
      assert.throws(
        () => parseNetwork(bad),
        (error) => error instanceof AppError && error.reason === 'invalid-request',
        bad,
      );
    }
  });

  it('know which addresses a node can be reached at', () => {
    for (const good of ['10.0.0.1', '192.0.2.1', '8.8.8.8', 'fd00::1', '2001:db8::1']) {
      assert.equal(isReachableAddress(good), true, good);
    }
    const bad = [
      '0.0.0.0',
      '127.0.0.1',
      '127.9.9.9',
      '169.254.1.1',
      '224.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      'fe80::1',
      'ff02::1',
      '::ffff:127.0.0.1',
      '',
      'w1',
    ];
    for (const address of bad) assert.equal(isReachableAddress(address), false, address);
  });
});

describe('token texts', () => {
  it('are new each time, with 165 bits of secret', () => {
    const made = Array.from({ length: 1000 }, newToken);
    for (const { id, secret } of made) assert.deepEqual(parseToken(`${id}.${secret}`), { id, secret });
    assert.equal(new Set(made.map(({ secret }) => secret)).size, 1000);
    assert.equal(new Set(made.flatMap(({ secret }) => [...secret])).size, 36);
  });

  it('match their own hash only', () => {
    const { secret } = newToken();
    assert.equal(secretMatches(secret, hashSecret(secret)), true);
    assert.equal(secretMatches(`${secret}a`, hashSecret(secret)), false);
    for (const stored of [undefined, '', '00', '00'.repeat(32), hashSecret(secret).slice(2)]) {
      assert.equal(secretMatches(secret, stored), false);
    }
  });
});
