import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import { countStops } from './count-stops.ts';
import { pauseRollout, resumeRollout } from './rollout.ts';

it('counts how often failures of a node stopped the rollout within a day, and nothing that operators paused', async (test) => {
  const clock = new FakeClock();
  const store = openSqliteStore(':memory:', clock);
  test.after(() => store.close());
  const deps = { store, clock, permits: { list: () => [] }, pushSettings: async () => {} };
  const stop = async (node: string) => {
    await pauseRollout({ actor: node === '' ? 'admin/root' : `node/${node}`, node, reason: 'x', source: '' }, deps);
    await pauseRollout({ actor: 'node/w9', node: 'w9', reason: 'it is paused already', source: '' }, deps);
    await resumeRollout({ actor: 'admin/root', source: '' }, deps);
  };
  const counts = async () => Object.fromEntries(await countStops(store, clock.nowMs()));

  await stop('w1');
  await clock.advance(12 * 3_600_000);
  for (const node of ['w1', '', 'w2', 'w1']) await stop(node);
  assert.deepEqual(await counts(), { w1: 3, w2: 1 });
  await clock.advance(12 * 3_600_000 + 1);
  assert.deepEqual(await counts(), { w1: 2, w2: 1 });
});
