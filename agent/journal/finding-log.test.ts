import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { oneClock } from '../../common/time/one-clock-for-tests.ts';
import { classify } from './classify.ts';
import { FindingLog, MOST_FINDINGS } from './finding-log.ts';

/** An etcd that refuses the caller, who asked for a server of a long name. */
function refusal(number: number) {
  const name = 'a'.repeat(10_000);
  const message = `rejected connection from "10.0.0.9:${number}" (error "remote error: tls: bad certificate", ServerName "${name}")`;
  const entry = { cursor: 'c', realtimeMs: number, unit: 'etcd.service', identifier: 'etcd', pid: 1, invocationId: '' };
  const finding = classify('etcd', { message, fromSystemd: false }) ?? assert.fail();
  return { speaker: 'etcd', finding, entry: { ...entry, message, fromSystemd: false } } as const;
}

describe('FindingLog', () => {
  it('keeps the newest, in their order', () => {
    const log = new FindingLog(oneClock);
    for (let number = 0; number < MOST_FINDINGS + 3; number++) log.add(refusal(number));
    const times = log.since(0).map(({ entry }) => entry.realtimeMs);
    assert.deepEqual([times.length, times[0], times.at(-1)], [MOST_FINDINGS, 3, MOST_FINDINGS + 2]);
    assert.equal(log.since(MOST_FINDINGS).length, 3);
  });

  it('keeps no more of a line than evidence shows', () => {
    const log = new FindingLog(oneClock);
    log.add(refusal(1));
    const [kept] = log.since(0);
    assert.equal(kept?.entry.message.length, 1000);
    assert.equal(kept?.finding.remote, '10.0.0.9:1');
  });
});
