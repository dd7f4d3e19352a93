import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { PageSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { nextPageToken, readPage } from './paging.ts';

describe('paging', () => {
  it('takes 100 rows of the first page unless told otherwise', () => {
    assert.deepEqual(readPage(undefined), { size: 100, after: undefined });
    assert.deepEqual(readPage(create(PageSchema, { pageSize: 1000 })), { size: 1000, after: undefined });
  });

  it('goes on where the token says', () => {
    const pageToken = nextPageToken('w1');
    assert.equal(readPage(create(PageSchema, { pageToken })).after, 'w1');
    assert.equal(nextPageToken(undefined), '');
  });

  for (const page of [{ pageSize: 1001 }, { pageToken: 'w1' }, { pageToken: '\0' }, { pageToken: 'x'.repeat(600) }]) {
    it(`refuses ${JSON.stringify(page).slice(0, 40)}`, () => {
      assert.throws(() => readPage(create(PageSchema, page)), { reason: 'invalid-request' });
    });
  }
});
