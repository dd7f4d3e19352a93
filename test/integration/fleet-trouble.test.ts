/** A node that is cut off in the middle of its change, and nodes whose clocks are an hour off. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { FakeMachine } from './fake-machine.ts';
import { Fleet } from './fleet-fixture.ts';

describe('a node that is cut off while it holds a permit', () => {
  let fleet: Fleet;
  let lost: FakeMachine;
  const trees = new Map<string, Map<string, string>>();
  before(async () => {
    fleet = await Fleet.start();
    await fleet.cluster.addForeignApiserver();
    await fleet.addWorkers(4, (machine) => trees.set(machine.name, machine.tree()));
    await fleet.clock.until('a change is under way', () => fleet.disturbances.now.length > 0);
    const [name = assert.fail()] = fleet.disturbances.now;
    lost = fleet.node(name).machine;
    fleet.node(name).wire.cut();
  });
  after(() => fleet.close());
  const warnings = async () => (await fleet.status()).warnings.join('\n');

  it('holds up the others until its permit ends, and no longer', async () => {
    await fleet.clock.pass(90_000);
    assert.equal(fleet.disturbances.most, 1, 'another one began while the permit is good');
    assert.match(await warnings(), new RegExp(`${lost.name} is not connected since`));
    await fleet.verified([lost.name], { limitMs: 5 * 60_000 });
    const nodes = async (kind: string) => (await fleet.events(kind)).map(({ node }) => node);
    assert.deepEqual(await nodes('permit.expired'), [lost.name]);
    assert.deepEqual(await nodes('node.offline'), [lost.name]);
    assert.ok(fleet.disturbances.most <= 2);
    assert.equal((await fleet.status()).rollout?.paused, false); // nobody knows yet how it ended there
  });

  it('goes back by itself when nobody can be asked, byte for byte', async () => {
    await fleet.clock.until('it has gone back', () => fleet.disturbances.now.length === 0);
    assert.deepEqual(lost.tree(), trees.get(lost.name));
    assert.match(
      fleet
        .node(lost.name)
        .said(/^change undone/)
        .join(),
      /the server could not ask the peers/,
    );
    await fleet.clock.pass(5 * 60_000);
    assert.equal(lost.starts('kubelet.service'), 3); // at first, with ours, and back again
  });

  it('says so when it returns, stops the rollout by that, and begins again on an operator’s word alone', async () => {
    fleet.node(lost.name).wire.mend();
    const isBack = async () => (await fleet.status()).nodesOnline === 4;
    await fleet.slowly(() => fleet.clock.until('it is back', isBack));
    await fleet.clock.pass(60_000);
    const { rollout } = await fleet.status();
    assert.deepEqual([rollout?.paused, rollout?.node], [true, lost.name]);
    assert.match(await warnings(), /is rolled-back: kubelet: peers check failed: the server could not ask the peers/);
    assert.equal(lost.starts('kubelet.service'), 3);
    await fleet.admin.rollout.resumeRollout({});
    await fleet.verified();
    assert.deepEqual(await warnings(), '');
  });
});

describe('clocks that are an hour off', () => {
  const HOUR_MS = 3_600_000;
  let fleet: Fleet;
  before(async () => {
    fleet = await Fleet.start();
    await fleet.cluster.addForeignApiserver();
    await fleet.clock.pass(2 * HOUR_MS); // the server has had its certificates for longer than the clocks are off
  });
  after(() => fleet.close());
  const warnings = async () => (await fleet.status()).warnings.join('\n');

  it('hinder nothing on a node that is ahead, and are warned of', async () => {
    const clock = fleet.clock.ofMachine(HOUR_MS);
    await fleet.join(await fleet.addWorker('ahead', '10.9.1.1', clock), 'worker');
    await fleet.verified();
    assert.match(await warnings(), /^the clock of ahead is 3600 s ahead; set up time synchronization$/);
    const { clockSkew } = await fleet.admin.fleet.getNode({ name: 'ahead' });
    assert.equal(clockSkew?.seconds, 3600n);
    clock.aheadMs = 0;
    await fleet.clock.pass(20_000); // the next heartbeats
    assert.equal(await warnings(), '');
  });

  it('let a node that is behind neither join nor change, which says why, until its clock is set', async () => {
    const clock = fleet.clock.ofMachine(-HOUR_MS);
    const machine = await fleet.addWorker('behind', '10.9.1.2', clock);
    const before = machine.tree();
    const refused = { reason: 'invalid-request', message: /not valid before .*: check the clock; compare the clocks$/ };
    await assert.rejects(fleet.join(machine, 'worker'), refused);

    clock.aheadMs = 0;
    await fleet.join(machine, 'worker');
    clock.aheadMs = -HOUR_MS;
    const isTold = async () =>
      /behind is failed: not begun: .* by this node's clock: set the clock right/.test(await warnings());
    await fleet.clock.until('it says that its clock is wrong', isTold);
    assert.match(await warnings(), /^the clock of behind is 3600 s behind; set up time synchronization$/m);
    assert.deepEqual([machine.tree(), machine.starts('kubelet.service')], [before, 1]);

    clock.aheadMs = 0;
    await fleet.verified();
    assert.equal(await warnings(), '');
  });
});
