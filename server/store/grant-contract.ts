/** What every engine of the store must do with grants of permits; part of the contract. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { NodeRecord, PermitGrant, Store } from './store.ts';

/** Registers the tests; `store` gives the store of the running test, `reopen` restarts it. */
export function grantContract(
  store: () => Store,
  reopen: () => Promise<void>,
  sampleNode: (fields: Partial<NodeRecord>) => NodeRecord,
): void {
  const grant = (fields: Partial<PermitGrant>): PermitGrant => ({
    ...{ node: 'w1', component: 'kubelet', permitId: 'p1', grantedAtMs: 5, inShare: true, stopped: false },
    ...fields,
  });

  it('keeps the newest grant of each node and component, and none of a node that is not enrolled', async () => {
    for (const name of ['w2', 'w1']) await store().enrol({ node: sampleNode({ name }), useToken: undefined });
    await store().putGrants([grant({ node: 'w2' }), grant({}), grant({ component: 'kube-proxy' })]);
    const newer = grant({ permitId: 'p2', grantedAtMs: 9, inShare: false, stopped: true });
    await store().putGrants([newer, grant({ node: 'ghost' })]);
    await reopen();
    const expected = [grant({ component: 'kube-proxy' }), newer, grant({ node: 'w2' })];
    assert.deepEqual(await store().listGrants(), expected);
  });
}
