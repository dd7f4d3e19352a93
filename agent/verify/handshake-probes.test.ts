import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { Findings } from './findings.ts';
import { expectRefusal } from './handshake-probes.ts';
import type { ProbeOutcome } from './probe.ts';
import type { RefusedBy } from './probe-errors.ts';

describe('a refusal without a certificate', () => {
  const refused = (by: RefusedBy): ProbeOutcome => ({ kind: 'refused', by, detail: '', served: undefined });
  const rows: [what: string, outcome: ProbeOutcome, proves: boolean][] = [
    ['an alert of TLS', refused('tls-alert'), true],
    ['a connection that is hung up', refused('reset'), true],
    ['a port that speaks plaintext', refused('plaintext-port'), false],
    ['what is no HTTP', refused('not-http'), false],
    ['a version or cipher of TLS that is not shared', refused('tls-protocol'), false],
    ['a closed port, or silence', { kind: 'unreachable', detail: 'no answer within 5000 ms' }, false],
    ['an answer', { kind: 'answered', status: 401, body: '', served: undefined }, false],
  ];
  for (const [what, outcome, proves] of rows) {
    it(`is ${proves ? '' : 'not '}proved by ${what}`, () => {
      const findings = new Findings('handshake', new FakeClock());
      expectRefusal(findings, 'handshake 10.0.0.1:2379', outcome);
      assert.equal(findings.outcome('').result, proves ? 'passed' : 'failed');
    });
  }
});
