/**
 * What holds for a cluster of three control planes behind one address, as most people run theirs: adopted through that address, then moved
 * to new CAs, all three at once, while clients of every kind call through the load balancer.
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { PHASES, RootChange } from '../lab/root-change.ts';
import { ADOPTED_MS, PHASE_MS, type StartBalanced, stepsOnBalanced } from './balanced.ts';
import { assertNewCaAlone, assertRestartedOnce } from './verified.ts';

/** Declares the tests of one kind of cluster. */
export function threeControlPlanesTests(name: string, start: StartBalanced): void {
  describe(name, () => {
    const { fleet, say, step, steps, adopt, settled, probedThrough } = stepsOnBalanced(start);

    /** The load balancer deals enough calls to each API server meanwhile. */
    async function dealtToAll(act: () => Promise<void>): Promise<void> {
      const { balancer } = fleet().cluster;
      const before = await balancer.dealt();
      await probedThrough(act);
      for (const [host, count] of await balancer.dealt()) {
        const own = count - (before.get(host) ?? 0);
        say(`${own} connections through HAProxy to ${host}`);
        assert.ok(own > 100, `too few calls went to ${host} to prove anything`);
      }
    }

    const adopted = () =>
      dealtToAll(async () => {
        await adopt();
        await settled();
        await assertRestartedOnce(fleet().cluster, fleet().view);
      });
    step('is adopted through that address, and nobody is refused', adopted, { mostMs: ADOPTED_MS * 2 });

    const moved = async () => {
      const { cluster, operator } = fleet();
      const unfinished = () => steps().unfinished(cluster.components);
      assert.deepEqual(await unfinished(), [], 'it is not adopted');
      const change = new RootChange(operator, say);
      await dealtToAll(async () => {
        await change.begin(cluster.controlPlane);
        for (const phase of PHASES) await change.advance(phase, PHASE_MS, async () => void (await unfinished()));
        await change.assertEnded();
        await settled();
      });
    };
    step('gets new CAs, all three, and nobody is refused', moved, { mostMs: PHASE_MS * 4 });

    step('serves and trusts the new CA alone', () => assertNewCaAlone(fleet().cluster));
  });
}
