import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Component } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { doubt } from './doubt.ts';
import { StatusBoard } from './status-board.ts';

const seen = { component: Component.KUBELET, cause: 'expired', fault: 'own', line: 'x509: certificate has expired' };

describe('doubt', () => {
  for (const [what, state, fault, after] of [
    ['degrades what was verified', 'verified', 'own', 'degraded'],
    ['leaves it verified when the other side is at fault', 'verified', 'peer-client', 'verified'],
    ['leaves a change to its own verification', 'verifying', 'own', 'verifying'],
    ['leaves what failed as it failed', 'failed', 'own', 'failed'],
  ] as const) {
    it(what, () => {
      const board = new StatusBoard(() => 1);
      board.set('kubelet', { state, reason: '' });
      doubt(board, { ...seen, fault });
      assert.equal(board.get('kubelet')?.state, after);
      const reason = after === 'degraded' ? 'expired: x509: certificate has expired' : '';
      assert.equal(board.get('kubelet')?.reason, reason);
    });
  }

  it('is none for what is not on the node', () => {
    const board = new StatusBoard(() => 1);
    doubt(board, seen);
    doubt(board, { ...seen, component: 99 as Component }); // a number that is none
    assert.deepEqual(board.all(), []);
  });
});
