import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Change } from '../plan/change.ts';
import type { RestartedUnit } from '../restart/restart-unit.ts';
import { ChangeReport } from './change-report.ts';
import { StatusBoard } from './status-board.ts';

describe('ChangeReport', () => {
  it('counts the restart of what was ended for another component', () => {
    const board = new StatusBoard(() => 1);
    const change: Change = { changeId: 'c', components: [], fingerprint: '' };
    const etcd: RestartedUnit = {
      ...{ component: 'etcd', process: { kind: 'unit', unit: 'etcd.service' }, unit: 'etcd.service', live: false },
      ...{ cursor: '', startedAtMs: 0, invocationId: 'a', ok: true, detail: '', ended: ['kube-apiserver'] },
    };
    new ChangeReport(board, change).verifying([etcd, { ...etcd, component: 'kubelet', ended: [] }]);
    assert.deepEqual([board.get('kube-apiserver')?.restarts, board.get('kubelet')], [1, undefined]);
  });
});
