import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { AppError, type Reason } from '../errors/app-error.ts';
import { fromStatus, toStatus } from './status.ts';

const codes: Record<Reason, string> = {
  'invalid-request': 'INVALID_ARGUMENT',
  unauthenticated: 'UNAUTHENTICATED',
  'node-unknown': 'PERMISSION_DENIED',
  'node-revoked': 'PERMISSION_DENIED',
  'policy-refused': 'PERMISSION_DENIED',
  'not-found': 'NOT_FOUND',
  conflict: 'ABORTED',
  'rate-limited': 'RESOURCE_EXHAUSTED',
  unavailable: 'UNAVAILABLE',
  deadline: 'DEADLINE_EXCEEDED',
  internal: 'INTERNAL',
};

describe('status', () => {
  for (const [reason, code] of Object.entries(codes) as [Reason, string][]) {
    it(`carries ${reason} as ${code} and brings it back`, () => {
      const sent = toStatus(new AppError(reason, 'a sentence', { retryAfterMs: 1500 }));
      assert.equal(status[sent.code], code);
      const got = fromStatus(asServiceError(sent));
      assert.equal(got.reason, reason);
      assert.equal(got.retryAfterMs, 1500);
    });
  }

  it('keeps the text and the cause of an internal error from the peer', () => {
    const cause = new Error('passphrase is hunter2');
    const sent = toStatus(AppError.from(cause));
    const all = sent.details + JSON.stringify(sent.metadata.toJSON()) + sent.metadata.get('grpc-status-details-bin');
    assert.equal(all.includes('hunter2'), false);
    assert.match(sent.details, /log of the server/);
  });

  it('cuts a message that would not fit into a trailer', () => {
    assert.equal(toStatus(new AppError('invalid-request', 'x'.repeat(100_000))).details.length, 2000);
  });

  const foreign: [string, status, string, Reason, RegExp][] = [
    [
      'a failed connection',
      status.UNAVAILABLE,
      'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ',
      'unavailable',
      /^the server cannot be reached: connect ECONNREFUSED 127.0.0.1:1$/,
    ],
    ['a deadline', status.DEADLINE_EXCEEDED, 'Deadline exceeded', 'deadline', /DEADLINE_EXCEEDED/],
    ['a method the server does not know', status.UNIMPLEMENTED, 'no', 'invalid-request', /UNIMPLEMENTED/],
    ['a message too large', status.RESOURCE_EXHAUSTED, 'larger than max', 'invalid-request', /larger than max/],
    ['anything else', status.DATA_LOSS, 'lost', 'internal', /DATA_LOSS: lost/],
  ];
  for (const [what, code, details, reason, message] of foreign) {
    it(`reads ${what} without details of ours as ${reason}`, () => {
      const error = fromStatus(asServiceError({ code, details, metadata: new Metadata() }));
      assert.equal(error.reason, reason);
      assert.match(error.message, message);
    });
  }

  it('does not believe details that are garbage or of another domain', () => {
    const metadata = new Metadata();
    metadata.set('grpc-status-details-bin', Buffer.from('ffffff', 'hex'));
    assert.equal(fromStatus(asServiceError({ code: status.NOT_FOUND, details: '', metadata })).reason, 'not-found');
  });
});

function asServiceError(fields: { code: status; details: string; metadata: Metadata }): ServiceError {
  return Object.assign(new Error(fields.details), fields);
}
