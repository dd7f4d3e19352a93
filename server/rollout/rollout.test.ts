import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { sampleNode } from '../store/store-contract.ts';
import { pauseRollout, type Resume, resumeRollout } from './rollout.ts';

let clock: FakeClock;
let store: Store;

beforeEach(async () => {
  clock = new FakeClock();
  store = openSqliteStore(':memory:', clock);
  for (const name of ['w1', 'w2']) await store.enrol({ node: sampleNode({ name }), useToken: undefined });
  await store.enrol({ node: sampleNode({ name: 'gone', revoked: true }), useToken: undefined });
});
afterEach(() => store.close());

const deps = () => ({ store, clock, permits: { list: () => [] }, pushSettings: async () => {} });
const resume = (more: Partial<Resume> = {}) => resumeRollout({ actor: 'admin/root', source: '', ...more }, deps());
const leftOut = async () => (await store.getRollout()).leftOut;

describe('a rollout that goes on', () => {
  it('leaves nodes out until they are let in, whatever stops it meanwhile', async () => {
    await resume({ leaveOut: ['w2'] });
    await pauseRollout({ actor: 'node/w1', node: 'w1', reason: 'x', source: '' }, deps());
    assert.deepEqual(await leftOut(), ['w2']);
    await resume({ leaveOut: ['w1', 'w1'] });
    await resume();
    assert.deepEqual(await leftOut(), ['w1', 'w2']);
    await resume({ letIn: ['w2'] });
    assert.deepEqual(await leftOut(), ['w1']);
    const { rows } = await store.listEvents({ kind: 'rollout.resumed' }, { size: 1, after: undefined });
    assert.equal(rows[0]?.message, 'failed changes are tried again; left out: w1');
  });

  it('refuses nodes that are none, and does not go on then', async () => {
    await pauseRollout({ actor: 'node/w1', node: 'w1', reason: 'x', source: '' }, deps());
    for (const name of ['w9', 'gone'])
      await assert.rejects(resume({ leaveOut: ['w1', name] }), { reason: 'node-unknown' });
    await assert.rejects(resume({ letIn: ['w1'] }), { reason: 'not-found' });
    const { paused, leftOut } = await store.getRollout();
    assert.deepEqual([paused, leftOut], [true, []]);
  });
});
