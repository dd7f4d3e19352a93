import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Authority, RotationPhase } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { rotationOf } from './look.ts';

const bundle = { authority: Authority.ETCD, phase: RotationPhase.UNSPECIFIED, issuingPin: '', retiredRootsPem: '' };

describe('rotationOf', () => {
  it('says nothing of an authority that the server says nothing of: that is no CA without a key', () => {
    assert.equal(rotationOf([bundle]).size, 0);
    assert.equal(rotationOf([{ ...bundle, authority: Authority.UNSPECIFIED, issuingPin: 'sha256:ab' }]).size, 0);
  });

  const rows: [given: Partial<typeof bundle>, phase: string, issuingPin: string, retiredPem: string][] = [
    [{ issuingPin: 'sha256:ab' }, 'settled', 'sha256:ab', ''],
    [{ phase: RotationPhase.TRUST }, 'trust', '', ''],
    [{ phase: RotationPhase.REISSUE, issuingPin: 'sha256:ab' }, 'reissue', 'sha256:ab', ''],
    [{ phase: RotationPhase.DROP, issuingPin: 'sha256:ab', retiredRootsPem: 'PEM' }, 'drop', 'sha256:ab', 'PEM'],
  ];
  for (const [given, phase, issuingPin, retiredPem] of rows) {
    it(`reads ${JSON.stringify(given)} as ${phase}`, () => {
      assert.deepEqual(rotationOf([{ ...bundle, ...given }]).get('etcd'), { phase, issuingPin, retiredPem });
    });
  }

  it('refuses a phase of a later version', () => {
    const phase = 99 as RotationPhase; // a number of a later version
    assert.throws(() => rotationOf([{ ...bundle, phase }]), { reason: 'invalid-request', message: /etcd CA: upgrade/ });
  });
});
