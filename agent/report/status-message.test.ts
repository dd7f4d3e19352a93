import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Authority } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { CheckOutcome } from '../verify/checks.ts';
import { StatusBoard } from './status-board.ts';
import { checkMessage, checkOutcome, statusMessage } from './status-message.ts';

const check: CheckOutcome = {
  ...{ kind: 'journal', result: 'failed', summary: 'refuses everybody' },
  evidence: [
    { source: 'journal etcd.service', line: 'x'.repeat(1_500), observedAtMs: 1_234, cause: 'expired', rank: 'hint' },
  ],
};

describe('statusMessage', () => {
  it('carries a status, with lines cut to what the wire takes', () => {
    const board = new StatusBoard(() => 5_000);
    const etcd = { clusterId: 'c1', members: ['a'], prepared: true, enforced: false, plaintext: false };
    board.set('etcd', {
      ...{ state: 'rolled-back', reason: 'no', checks: [check], restarts: 2, endpoints: ['10.0.0.1:2379'], etcd },
      certificates: [{ profile: 'etcd-server', serial: '1a', path: '/x', notAfterMs: 9_000, issuerPin: 'sha256:ab' }],
      ...{ reloads: 3, trust: [{ authority: 'etcd', rootPins: ['sha256:ab', 'sha256:cd'] }] },
    });
    const [status = assert.fail()] = board.all();
    const message = statusMessage(status);
    assert.equal(message.checks[0]?.evidence[0]?.line.length, 1_000);
    assert.deepEqual([message.restarts, message.etcd?.members, message.endpoints], [2, ['a'], ['10.0.0.1:2379']]);
    assert.equal(message.updatedAt?.seconds, 5n);
    assert.equal(message.certificates[0]?.notAfter?.seconds, 9n);
    assert.equal(message.certificates[0]?.issuerPin, 'sha256:ab');
    assert.equal(message.reloads, 3);
    assert.deepEqual(
      message.trust.map(({ authority, rootPins }) => [authority, rootPins]),
      [[Authority.ETCD, ['sha256:ab', 'sha256:cd']]],
    );
  });

  it('brings a check back as it went, and none of another version', () => {
    const cut = { ...check, evidence: check.evidence.map((each) => ({ ...each, line: each.line.slice(0, 1_000) })) };
    assert.deepEqual(checkOutcome(checkMessage(check)), cut);
    const later = 99; // a number of a later version
    assert.equal(checkOutcome({ ...checkMessage(check), kind: later as never }), undefined);
    assert.equal(checkOutcome({ ...checkMessage(check), result: later as never }), undefined);
  });
});
