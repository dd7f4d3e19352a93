import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { restartWindows } from './restart-windows.ts';

const at = (second: number) => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`;
const ms = (second: number) => Date.parse(at(second));
const line = (second: number, message: string, component?: string, changeId = 'c1') =>
  JSON.stringify({ level: 'info', message, at: at(second), changeId, component });

describe('restartWindows', () => {
  const journal = [
    'Started kube-mtls-agent.service - kube-mtls agent.',
    line(10, 'change applied'),
    line(12, 'unit restarted', 'etcd'),
    line(15, 'unit restarted', 'kube-apiserver'),
    line(30, 'change kept'),
    line(40, 'change applied', undefined, 'c2'),
    line(41, 'unit restarted', 'kube-apiserver', 'c2'),
    line(43, 'unit restarted', 'kube-apiserver', 'c2'),
    line(50, 'change undone', undefined, 'c2'),
    line(55, 'change applied', undefined, 'live'),
    line(56, 'change kept', undefined, 'live'),
  ].join('\n');

  it('are one for each process that a change restarted, and as long once more as it was away', () => {
    assert.deepEqual(restartWindows(journal, 'etcd'), [{ fromMs: ms(10), restartedMs: ms(12), untilMs: ms(32) }]);
    assert.deepEqual(restartWindows(journal, 'kube-apiserver'), [
      { fromMs: ms(10), restartedMs: ms(15), untilMs: ms(35) },
      { fromMs: ms(40), restartedMs: ms(41), untilMs: ms(51) },
      { fromMs: ms(40), restartedMs: ms(43), untilMs: ms(53) },
    ]);
    assert.deepEqual(restartWindows(journal, 'kubelet'), []);
  });

  it('are none of a change that is not logged whole', () => {
    const begun = [line(10, 'change applied'), line(12, 'unit restarted', 'etcd')].join('\n');
    assert.throws(() => restartWindows(begun, 'etcd'), /c1 is no whole change of etcd/);
  });
});
