import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { joinList, listFlag } from './list-flag.ts';

describe('a flag that holds a list', () => {
  const rows: [what: string, values: string[], entries: string[]][] = [
    ['is split at commas', ['a,b'], ['a', 'b']],
    ['adds up', ['a,b', 'c'], ['a', 'b', 'c']],
    ['may hold quotes, with commas and quotes in them', ['"a,""b""",c'], ['a,"b"', 'c']],
    ['loses the spaces around its entries', [' a , b'], ['a', 'b']],
    ['has no empty entries', ['a,,', ''], ['a']],
    ['is one entry where its quotes are wrong', ['"a,b', 'a"b,c'], ['"a,b', 'a"b,c']],
    ['ends with the line', ['a,b\nc'], ['a', 'b']],
  ];
  for (const [what, values, entries] of rows) {
    it(what, () => assert.deepEqual(listFlag(new Map([['x', values]]), 'x'), entries));
  }

  it('is empty where it is not given', () => assert.deepEqual(listFlag(new Map(), 'x'), []));

  it('is joined so that it is read as it was', () => {
    const entries = ['a', 'b,c', 'd"e'];
    assert.deepEqual(listFlag(new Map([['x', [joinList(entries)]]]), 'x'), entries);
  });
});
