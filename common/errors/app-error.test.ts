import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, messageOf } from './app-error.ts';

describe('AppError', () => {
  it('is itself when it is one already', () => {
    const error = new AppError('conflict', 'x', { retryAfterMs: 5 });
    assert.equal(AppError.from(error, 'other words'), error);
    assert.equal(error.retryAfterMs, 5);
  });

  it('makes an abort "unavailable", and everything else "internal", with the cause', () => {
    const abort = new DOMException('aborted', 'AbortError');
    assert.deepEqual([AppError.from(abort).reason, AppError.from(abort).cause], ['unavailable', abort]);
    const bug = new TypeError('x is undefined');
    const error = AppError.from(bug);
    assert.deepEqual([error.reason, error.message, error.cause], ['internal', 'x is undefined', bug]);
    assert.equal(AppError.from('thrown', 'other words').message, 'other words');
  });
});

describe('messageOf', () => {
  const texts: [thrown: unknown, text: string][] = [
    [new Error('x'), 'x'],
    ['x', 'x'],
    [undefined, 'undefined'],
    [
      new AggregateError([new Error('refused by ::1'), new Error('refused by 127.0.0.1')]),
      'refused by ::1; refused by 127.0.0.1',
    ],
    [new AggregateError([], 'none'), 'none'],
  ];
  for (const [thrown, text] of texts) it(`is "${text}"`, () => assert.equal(messageOf(thrown), text));
});
