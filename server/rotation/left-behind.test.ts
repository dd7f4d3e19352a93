import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RotationRecord } from '../store/store.ts';
import { leftBehind, type NodeInventory } from './left-behind.ts';

const record: RotationRecord = {
  ...{ generation: 2, phase: 'reissue', phaseStartedAtMs: 0, automatic: false, authorities: ['kubernetes'] },
  lines: [
    { authority: 'etcd', current: 'e2', old: ['e1'], oldSigner: '', retired: [] },
    { authority: 'kubernetes', current: 'k2', old: ['k1', 'companion'], oldSigner: 'k1', retired: [] },
  ],
};

function inventory(issuerPin: string, more: Partial<NodeInventory['certificates'][number]> = {}): NodeInventory {
  const found = {
    path: '/w/hook.conf',
    consumer: 'kube-apiserver --audit-webhook-config-file client-certificate-data',
  };
  return { node: 'cp1', certificates: [{ ...found, managed: false, issuerPin, ...more }] };
}

describe('leftBehind', () => {
  it('names what comes from the root that is replaced, and stays', () =>
    assert.deepEqual(leftBehind(record, [inventory('k1')]), [
      'cp1: kube-apiserver --audit-webhook-config-file client-certificate-data (/w/hook.conf) comes from the old kubernetes CA, and kube-mtls does not replace it',
    ]));

  const silent: [what: string, inventory: NodeInventory, record: RotationRecord][] = [
    ['comes from the new root', inventory('k2'), record],
    ['comes from a root that stays', inventory('companion'), record],
    ['comes from an authority that does not change', inventory('e1'), record],
    ['comes from nobody that is known', inventory(''), record],
    ['is replaced', inventory('k1', { managed: true }), record],
    ['nothing refers to', inventory('k1', { consumer: '' }), record],
    ['may still be replaced in trust', inventory('k1'), { ...record, phase: 'trust' }],
  ];
  for (const [what, one, at] of silent) {
    it(`says nothing of what ${what}`, () => assert.deepEqual(leftBehind(at, [one]), []));
  }
});
