import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { classify } from './classify.ts';
import type { JournalEntry } from './journal-entry.ts';
import { strangersLines } from './strangers-lines.ts';

const REFUSED =
  'http: TLS handshake error from 10.77.0.9:40122: tls: client requested unsupported application protocols ([x';
const FORGED = 'Error: x509: certificate signed by unknown authority';
const NOW = 1_795_519_998_821;

function entry(message: string, atMs: number, change: Partial<JournalEntry> = {}): JournalEntry {
  return {
    ...{ cursor: '', realtimeMs: NOW + atMs, unit: 'kubelet.service', identifier: 'kubelet', pid: 87 },
    ...{ invocationId: 'aa', message, fromSystemd: false },
    ...change,
  };
}

/** Which of them are believed. */
function believed(...entries: JournalEntry[]): string[] {
  const isStrangers = strangersLines();
  return entries.filter((each) => !isStrangers(each)).map(({ message }) => message);
}

describe('strangersLines', () => {
  it('would be taken for failures', () => {
    for (const component of ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet'] as const) {
      assert.deepEqual(classify(component, entry(FORGED, 0))?.role, 'failure');
    }
  });

  it('are those that come with a refusal of protocols, also where the refusal looks complete', () => {
    assert.deepEqual(believed(entry(`${REFUSED}])`, 0), entry(FORGED, 0), entry('])', 3)), [`${REFUSED}])`]);
  });

  it('are those that journald was ten times as slow to take as was measured at worst, which is 21 ms', () => {
    assert.deepEqual(believed(entry(REFUSED, 0), entry(FORGED, 210)), [REFUSED]);
  });

  it('are not those of a moment later, nor those before', () => {
    const later = entry('later', 251);
    const all = believed(entry('before', 0), entry(REFUSED, 0), entry(FORGED, 250), later);
    assert.deepEqual(all, ['before', REFUSED, 'later']);
  });

  it('go on while refusals do, so that no second one begins at the end of the first', () => {
    const second = entry(REFUSED, 249);
    assert.deepEqual(believed(entry(REFUSED, 0), second, entry(FORGED, 251)), [REFUSED]);
  });

  it('are not those of another unit, nor of systemd', () => {
    const others = [entry('mine', 0, { unit: 'etcd.service' }), entry('Stopped', 0, { fromSystemd: true })];
    assert.deepEqual(believed(entry(REFUSED, 0), ...others), [REFUSED, 'mine', 'Stopped']);
  });

  it('are not those from before a clock was set back', () => {
    assert.deepEqual(believed(entry(REFUSED, 0), entry('earlier', -5000)), [REFUSED, 'earlier']);
  });
});
