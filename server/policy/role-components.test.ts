import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Component, components, type Role } from '../../common/names/names.ts';
import { roleRuns } from './role-components.ts';

describe('components of a role', () => {
  const rows: [Role, readonly Component[]][] = [
    ['control-plane', components.all],
    ['worker', ['kubelet', 'kube-proxy']],
    ['etcd', ['etcd']],
  ];
  for (const [role, runs] of rows) {
    it(`are ${runs.join(', ')} for ${role}`, () => {
      const counted = components.all.filter((component) => roleRuns(role, component));
      assert.deepEqual(counted.toSorted(), runs.toSorted());
    });
  }
});
