import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { begin, HEARTBEAT_MS } from './session-for-tests.ts';

describe('silence', () => {
  it('is reported once after three heartbeats, and the return as well', async (test) => {
    const { clock, presence, connect, kinds } = await begin(test);
    const agent = connect('w1');
    await agent.hello();
    await clock.advance(3 * HEARTBEAT_MS);
    await presence.look();
    assert.deepEqual(await kinds('node', 'w1'), ['node.online']);
    await clock.advance(1);
    await presence.look();
    await presence.look();
    await assert.rejects(agent.over, { reason: 'deadline' });
    assert.deepEqual(await kinds('node', 'w1'), ['node.online', 'node.offline']);
    await connect('w1').hello();
    assert.deepEqual(await kinds('node', 'w1'), ['node.online', 'node.offline', 'node.online']);
  });

  for (const stepMs of [3_600_000, -3_600_000]) {
    it(`is told by the time that went by when the wall clock is set by ${stepMs} ms, connected or not`, async (test) => {
      const { clock, presence, connect, kinds } = await begin(test);
      const agent = connect('w1');
      await agent.hello();
      const other = connect('cp1');
      await other.hello();
      await clock.advance(HEARTBEAT_MS);
      await other.say({ case: 'heartbeat', value: {} });
      other.close();
      await clock.advance(0);
      clock.step(stepMs);
      await clock.advance(2 * HEARTBEAT_MS);
      await presence.look();
      assert.deepEqual([await kinds('node', 'w1'), await kinds('node', 'cp1')], [['node.online'], ['node.online']]);
      await clock.advance(1);
      await presence.look();
      assert.deepEqual(await kinds('node', 'w1'), ['node.online', 'node.offline']);
      assert.deepEqual(await kinds('node', 'cp1'), ['node.online']);
      await clock.advance(HEARTBEAT_MS);
      await presence.look();
      assert.deepEqual(await kinds('node', 'cp1'), ['node.online', 'node.offline']);
      await assert.rejects(agent.over, { reason: 'deadline' });
    });
  }

  it('is no matter of revoked nodes', async (test) => {
    const { clock, store, presence, kinds } = await begin(test);
    await store.updateNode('w1', { revoked: true });
    await clock.advance(10 * HEARTBEAT_MS);
    await presence.look();
    assert.deepEqual(await kinds('node', 'w1'), []);
  });
});
