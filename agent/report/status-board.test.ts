import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { type Status, StatusBoard } from './status-board.ts';

function begin() {
  const clock = new FakeClock(1_000);
  const board = new StatusBoard(() => clock.nowMs());
  const heard: Status[] = [];
  const stop = board.listen((status) => heard.push(status));
  return { clock, board, heard, stop };
}

describe('StatusBoard', () => {
  it('begins with a component that was merely found', () => {
    const { board } = begin();
    board.set('etcd', {});
    assert.deepEqual(board.get('etcd'), {
      ...{ component: 'etcd', unit: '', version: '', state: 'detected', reason: '', checks: [], certificates: [] },
      ...{ updatedAtMs: 1_000, pendingFiles: [], endpoints: [], restarts: 0, reloads: 0, trust: [], etcd: undefined },
    });
    assert.equal(board.get('kubelet'), undefined);
  });

  it('keeps what is not said anew, and notes when it was', async () => {
    const { clock, board } = begin();
    board.set('etcd', { unit: 'etcd.service', state: 'pending' });
    await clock.advance(500);
    board.set('etcd', { state: 'verified' });
    const { unit, state, updatedAtMs } = board.get('etcd') ?? assert.fail();
    assert.deepEqual([unit, state, updatedAtMs], ['etcd.service', 'verified', 1_500]);
  });

  it('tells whoever listens of every change, and of nothing else', async () => {
    const { clock, board, heard, stop } = begin();
    const check = { kind: 'unit', result: 'passed', summary: '', evidence: [] } as const;
    board.set('etcd', { state: 'verified', checks: [{ ...check, evidence: [] }] });
    await clock.advance(500);
    board.set('etcd', { state: 'verified', checks: [{ ...check, evidence: [] }] });
    assert.deepEqual(
      heard.map(({ updatedAtMs }) => updatedAtMs),
      [1_000],
    );
    board.set('etcd', { restarts: 1 });
    stop();
    board.set('etcd', { restarts: 2 });
    assert.deepEqual(
      heard.map(({ restarts }) => restarts),
      [0, 1],
    );
  });

  it('hands out copies: what was told does not change any more', () => {
    const { board, heard } = begin();
    board.set('etcd', { state: 'applying' });
    board.set('etcd', { state: 'verified' });
    assert.deepEqual(
      heard.map(({ state }) => state),
      ['applying', 'verified'],
    );
  });

  it('comes back after a restart as it was, and forgets what is gone', () => {
    const { board } = begin();
    board.set('etcd', { state: 'verified' });
    board.set('kubelet', { state: 'pending' });
    const next = new StatusBoard(() => 9, board.all());
    assert.deepEqual(next.all(), board.all());
    next.keepOnly(['kubelet']);
    assert.deepEqual(
      next.all().map(({ component }) => component),
      ['kubelet'],
    );
  });
});
