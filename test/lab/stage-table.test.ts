import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type StageEvent, stageTable } from './stage-table.ts';

const START_MS = Date.parse('2026-12-01T12:00:00Z');
const event = (second: number, component: string, stage: string): StageEvent => ({
  at: new Date(START_MS + second * 1000).toISOString(),
  kind: `component.${stage}`,
  node: 'cp1',
  message: `${component} is ${stage}: because`,
});
const cells = (table: string) => table.split('\n').map((row) => row.trim().split(/ {2,}/));

describe('stageTable', () => {
  it('counts each stage of each component from the start on, the slowest first', () => {
    const table = stageTable(
      [
        event(12, 'etcd', 'verified'),
        event(0, 'etcd', 'pending'),
        event(5, 'etcd', 'applying'),
        event(6, 'etcd', 'verifying'),
        event(-20, 'kubelet', 'pending'),
        event(30, 'kubelet', 'waiting-for-permit'),
        event(31, 'kubelet', 'applying'),
        event(33, 'kubelet', 'verifying'),
      ],
      START_MS,
      START_MS + 40_000,
    );
    assert.deepEqual(cells(table).slice(1), [
      ['cp1 kubelet', '30.0', '1.0', '2.0', '7.0'],
      ['cp1 etcd', '5.0', '0.0', '1.0', '6.0'],
      ['all', '35.0', '1.0', '3.0', '13.0'],
    ]);
  });

  it('leaves out what was not changed, and events of other kinds', () => {
    const other = {
      at: new Date(START_MS).toISOString(),
      kind: 'permit.granted',
      node: 'cp1',
      message: 'may disturb etcd',
    };
    const table = stageTable([event(0, 'admin', 'pending'), other], START_MS, START_MS + 1000);
    assert.deepEqual(cells(table).slice(1), [['all', '0.0', '0.0', '0.0', '0.0']]);
  });
});
