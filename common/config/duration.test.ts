import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../errors/app-error.ts';
import { duration, formatDuration, parseDuration } from './duration.ts';

describe('duration', () => {
  const good: [text: string, ms: number][] = [
    ['0s', 0],
    ['1ms', 1],
    ['90s', 90_000],
    ['2m', 120_000],
    ['1h30m', 5_400_000],
    ['24h', 86_400_000],
    ['365d', 31_536_000_000],
    ['1d2h3m4s5ms', 93_784_005],
    ['5m250ms', 300_250],
  ];
  for (const [text, ms] of good) it(`reads ${text}`, () => assert.equal(parseDuration(text), ms));

  for (const text of ['', '5', '5 m', '-5m', '1.5h', '5M', '5w', '5m1h', '5m5m', ' 5m', '5m\n', 'm', '1e3s']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseDuration(text),
        (error) => error instanceof AppError && error.reason === 'invalid-request' && /with a unit/.test(error.message),
      );
    });
  }

  it('writes what it reads', () => {
    for (const ms of [0, 1, 999, 1000, 61_000, 5_400_000, 31_536_000_000]) {
      assert.equal(parseDuration(formatDuration(ms)), ms);
    }
    assert.equal(formatDuration(5_400_000), '1h30m');
    assert.equal(formatDuration(86_400_000), '1d');
  });

  it('is a field with bounds, which both count as inside', () => {
    const field = duration('10m', '1h');
    assert.deepEqual(
      ['10m', '1h'].map((text) => field.parse(text)),
      [600_000, 3_600_000],
    );
    for (const text of ['599s', '61m']) {
      assert.match(field.safeParse(text).error?.issues[0]?.message ?? '', /out of bounds: give 10m to 1h/);
    }
    assert.match(field.safeParse('10').error?.issues[0]?.message ?? '', /with a unit/);
    assert.equal(field.safeParse(600_000).success, false);
    assert.equal(field.default(5).parse(undefined), 5);
  });
});
