/**
 * What holds for a cluster of three control planes behind one address, as most people run theirs: adopted through that address, then moved
 * to new CAs, all three at once, while clients of every kind call through the load balancer.
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Beside } from '../lab/beside.ts';
import { stepsOnCluster } from '../lab/cluster-fleet.ts';
import { type BalancedCluster, nodesOf } from '../lab/clusters.ts';
import { joinNode } from '../lab/fleet.ts';
import { FleetSteps } from '../lab/fleet-steps.ts';
import type { Lab } from '../lab/lab.ts';
import type { ProbeReport } from '../lab/probe-clients.ts';
import { assertNeverRefused, notReached, probeTable, startProbers } from '../lab/probers.ts';
import { PHASES, RootChange } from '../lab/root-change.ts';
import { assertNewCaAlone, assertNothingLeft, assertRestartedOnce, assertVerified } from './verified.ts';

/** Sixteen components one after another, half a minute each and more on a busy machine. */
const ADOPTED_MS = 900_000;
/** The same, and in reissue the five and a half minutes in which clients look at their files. */
const PHASE_MS = 1_200_000;
const SETTLED_MS = 240_000;

/** Declares the tests of one kind of cluster. */
export function threeControlPlanesTests(
  name: string,
  start: (lab: Lab, say: (text: string) => void) => Promise<BalancedCluster>,
): void {
  describe(name, () => threeControlPlanes(start));
}

function threeControlPlanes(start: (lab: Lab, say: (text: string) => void) => Promise<BalancedCluster>): void {
  const { fleet, say, prepare, step, atEnd } = stepsOnCluster(start, { adopt: '/etc/kubernetes/pki', allJoin: true });
  let steps: FleetSteps;
  let probers: Beside<ProbeReport> | undefined;
  atEnd(() => probers?.stop().catch(() => undefined));

  prepare(async () => {
    steps = new FleetSteps(fleet().operator, say);
  });

  /** Nobody is refused while this goes on; who was not reached is told call by call. */
  async function probedThrough(change: () => Promise<void>): Promise<void> {
    const { cluster, view } = fleet();
    const sinceMs = Date.now();
    const dealtBefore = await cluster.balancer.dealt();
    probers = startProbers(cluster);
    try {
      await change();
      await delay(3000);
    } finally {
      const report = await probers.stop();
      console.log(await view.stages(sinceMs));
      probers = undefined;
      console.log(notReached(report).join('\n'));
      console.log(probeTable(report));
      const dealt = await cluster.balancer.dealt();
      for (const [name, count] of dealt) {
        const own = count - (dealtBefore.get(name) ?? 0);
        say(`${own} connections through HAProxy to ${name}`);
        assert.ok(own > 100, `too few calls went to ${name} to prove anything`);
      }
      assertNeverRefused(report, 100);
    }
  }

  /** Every component is VERIFIED, no change is left to be made on any node, and the checks have evidence. */
  async function settled(): Promise<void> {
    const { cluster, view } = fleet();
    const { components, hosts } = cluster;
    await steps.untilVerified(components, SETTLED_MS);
    for (const { host } of hosts) {
      const hasNoPlan = async () => (await host.run(['kube-mtls-agent', 'plan'])).code === 0;
      await host.until('nothing to be left to do', hasNoPlan, SETTLED_MS);
    }
    await steps.untilVerified(components, SETTLED_MS);
    await assertNothingLeft(cluster);
    await assertVerified(cluster, view, SETTLED_MS, say);
    assert.match(await nodesOf(cluster), / Ready /);
  }

  const adopted = async () => {
    const { cluster, view } = fleet();
    const { hosts, controlPlane, components } = cluster;
    await probedThrough(async () => {
      for (const { host, role } of hosts) {
        await joinNode(controlPlane, host, { role });
        say(`${host.name} has joined`);
      }
      await steps.untilVerified(components, ADOPTED_MS);
      await settled();
      await assertRestartedOnce(cluster, view);
    });
  };
  step('is adopted through that address, and nobody is refused', adopted, { mostMs: ADOPTED_MS * 2 });

  const moved = async () => {
    const { cluster, operator } = fleet();
    assert.deepEqual(await steps.unfinished(cluster.components), [], 'it is not adopted');
    const change = new RootChange(operator, say);
    await probedThrough(async () => {
      await change.begin(cluster.controlPlane);
      for (const phase of PHASES) {
        await change.advance(phase, PHASE_MS, async () => void (await steps.unfinished(cluster.components)));
      }
      await change.assertEnded();
      await settled();
    });
  };
  step('gets new CAs, all three, and nobody is refused', moved, { mostMs: PHASE_MS * 4 });

  step('serves and trusts the new CA alone', () => assertNewCaAlone(fleet().cluster));
}
