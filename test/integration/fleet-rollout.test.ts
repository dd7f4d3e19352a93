/** A rollout over fifty nodes with one that fails, over restarts of the server. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Fleet } from './fleet-fixture.ts';

const NODES = 50;
/** A tenth of fifty. */
const SHARE = 5;
const FAULTY = 'w7';

describe('a rollout over fifty nodes', () => {
  let fleet: Fleet;
  /** Machines as they were before anybody joined. */
  const trees = new Map<string, Map<string, string>>();
  before(async () => {
    fleet = await Fleet.start();
    await fleet.cluster.addForeignApiserver();
    await fleet.addWorkers(NODES, (machine) => trees.set(machine.name, machine.tree()));
    fleet.faultsOf(FAULTY).endsWithOurs = true;
  });
  after(() => fleet.close());

  /** Nodes by what their kubelets went through: verified, untouched, or anything else. */
  const sorted = async () => {
    const states = await fleet.states();
    const is = (name: string, state: string) => states.get(`${name} kubelet`) === state;
    const names = [...trees.keys()];
    const verified = names.filter((name) => is(name, 'verified'));
    const untouched = names.filter((name) => fleet.node(name).machine.starts('kubelet.service') === 1);
    return {
      verified,
      untouched,
      others: names.filter((name) => !verified.includes(name) && !untouched.includes(name)),
    };
  };
  const assertUntouched = (names: readonly string[]) => {
    for (const name of names) assert.deepEqual(fleet.node(name).machine.tree(), trees.get(name), name);
  };

  it('stops at the one that fails, puts it back byte for byte, and leaves the others as they were', async () => {
    await fleet.clock.until('the rollout stops', async () => (await fleet.status()).rollout?.paused === true);
    const stopped = (await fleet.status()).rollout;
    assert.match(
      stopped?.reason ?? '',
      /^on w7 kubelet was rolled back: kubelet: journal check failed: kubelet.service reports .*failed to run Kubelet/,
    );
    assert.equal(stopped?.node, FAULTY);
    await fleet.clock.pass(2 * 60_000); // those that held a permit come to their end

    const { verified, untouched, others } = await sorted();
    assert.deepEqual(others, [FAULTY]);
    assert.ok(verified.length >= SHARE && untouched.length >= NODES / 2, `${verified.length}, ${untouched.length}`);
    assertUntouched([FAULTY, ...untouched]);
    assert.equal((await fleet.states()).get(`${FAULTY} kubelet`), 'rolled-back');
    const { components } = await fleet.admin.fleet.getNode({ name: FAULTY });
    assert.deepEqual([components[0]?.restarts, components[0]?.reason.startsWith('kubelet: journal')], [2, true]);
    const { rollout, warnings } = await fleet.status();
    assert.deepEqual([rollout?.paused, rollout?.permits], [true, []]);
    assert.ok(
      warnings.some((warning) => warning.includes(FAULTY)),
      warnings.join('\n'),
    );
  });

  it('stays so over a start of the server', async () => {
    const { untouched } = await sorted();
    const before = (await fleet.status()).rollout;
    await fleet.stopServer();
    await fleet.clock.pass(60_000);
    await fleet.startServer();
    await fleet.clock.pass(2 * 60_000);
    assert.deepEqual((await fleet.status()).rollout, before);
    assert.deepEqual((await sorted()).untouched, untouched);
    assertUntouched([FAULTY, ...untouched]);
  });

  it('goes on without the one, also when the server is away in the middle of it', async () => {
    const { disturbances } = fleet;
    assert.equal(disturbances.most, SHARE);
    await fleet.admin.rollout.resumeRollout({ leaveOut: [FAULTY] });
    const isInTheMiddle = async () => disturbances.now.length > 0 && (await sorted()).verified.length > NODES / 3;
    await fleet.clock.until('the rollout is in the middle', isInTheMiddle);
    const held = disturbances.now;
    await fleet.stopServer();
    await fleet.clock.pass(90_000);
    assert.deepEqual(disturbances.now, held, 'somebody began, or came to an end, without a server');
    await fleet.startServer();
    await fleet.verified([FAULTY]);
    assert.deepEqual((await sorted()).others, [FAULTY]);
    assertUntouched([FAULTY]);
    const { rollout } = await fleet.status();
    assert.deepEqual([rollout?.paused, rollout?.leftOut, rollout?.permits], [false, [FAULTY], []]);
  });

  it('lets the one in when it is mended', async () => {
    fleet.faultsOf(FAULTY).endsWithOurs = false;
    await fleet.admin.rollout.resumeRollout({ letIn: [FAULTY] });
    await fleet.verified();
  });

  it('never disturbed more nodes at once than the share allows, and none twice', async () => {
    const { disturbances } = fleet;
    assert.deepEqual([disturbances.most, disturbances.now], [SHARE, []]);
    for (const name of trees.keys()) assert.equal(disturbances.countOf(name), name === FAULTY ? 2 : 1, name);
  });
});
