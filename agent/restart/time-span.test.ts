import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseTimeSpan } from './time-span.ts';

describe('parseTimeSpan', () => {
  const rows: [text: string, ms: number][] = [
    ['1min 30s', 90_000],
    ['15min', 900_000],
    ['2h 5min', 7_500_000],
    ['1d', 86_400_000],
    ['1.500s', 1500],
    ['250ms', 250],
    ['1s 500ms 20us', 1500.02],
    ['0', 0],
    ['infinity', Number.POSITIVE_INFINITY],
    ['', Number.POSITIVE_INFINITY],
    ['90', Number.POSITIVE_INFINITY],
    ['1min soon', Number.POSITIVE_INFINITY],
    ['1toString', Number.POSITIVE_INFINITY],
    ['1constructor', Number.POSITIVE_INFINITY],
  ];
  for (const [text, ms] of rows) {
    it(`reads ${JSON.stringify(text)} as ${ms} ms`, () => assert.equal(parseTimeSpan(text), ms));
  }
});
