/** A cluster whose API servers stand behind a load balancer: called through it while it is changed, and looked at when it has settled. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Beside } from '../lab/beside.ts';
import { type ClusterSteps, stepsOnCluster } from '../lab/cluster-fleet.ts';
import { type BalancedCluster, nodesOf } from '../lab/clusters.ts';
import { joinNode } from '../lab/fleet.ts';
import { FleetSteps } from '../lab/fleet-steps.ts';
import type { Lab } from '../lab/lab.ts';
import type { ProbeReport } from '../lab/probe-clients.ts';
import { assertNeverRefused, notReached, probeTable, startProbers } from '../lab/probers.ts';
import { assertNothingLeft, assertVerified } from './verified.ts';

/** Sixteen components one after another, half a minute each and more on a busy machine. */
export const ADOPTED_MS = 900_000;
/** The same, and in reissue the five and a half minutes in which clients look at their files. */
export const PHASE_MS = 1_200_000;
const SETTLED_MS = 240_000;

/** Brings up such a cluster. */
export type StartBalanced = (lab: Lab, say: (text: string) => void) => Promise<BalancedCluster>;

/** What suites of such clusters share. */
export interface BalancedSteps extends ClusterSteps<BalancedCluster> {
  /** Tells the steps of components; it is there from the first step on. */
  steps(): FleetSteps;
  /** All hosts join, and every component is VERIFIED. */
  adopt(): Promise<void>;
  /** Every component is VERIFIED, no change is left to be made on any node, and the checks have evidence. */
  settled(): Promise<void>;
  /** Nobody is refused while this goes on; who was not reached is told call by call, and where the time went by stage. */
  probedThrough(act: () => Promise<void>): Promise<void>;
}

/** Declares for one suite that it runs on such a cluster, whose CAs are adopted and whose nodes will all join. */
export function stepsOnBalanced(start: StartBalanced): BalancedSteps {
  const on = stepsOnCluster(start, { adopt: '/etc/kubernetes/pki', allJoin: true });
  const { fleet, say } = on;
  let steps: FleetSteps | undefined;
  let probers: Beside<ProbeReport> | undefined;
  on.atEnd(() => probers?.stop().catch(() => undefined));

  const told = () => {
    steps ??= new FleetSteps(fleet().operator, say);
    return steps;
  };

  return {
    ...on,
    steps: told,

    async adopt() {
      const { hosts, controlPlane, components } = fleet().cluster;
      for (const { host, role } of hosts) {
        await joinNode(controlPlane, host, { role });
        say(`${host.name} has joined`);
      }
      await told().untilVerified(components, ADOPTED_MS);
    },

    async settled() {
      const { cluster, view } = fleet();
      const { components, hosts } = cluster;
      await told().untilVerified(components, SETTLED_MS);
      for (const { host } of hosts) {
        const hasNoPlan = async () => (await host.run(['kube-mtls-agent', 'plan'])).code === 0;
        await host.until('nothing to be left to do', hasNoPlan, SETTLED_MS);
      }
      await told().untilVerified(components, SETTLED_MS);
      await assertNothingLeft(cluster);
      await assertVerified(cluster, view, SETTLED_MS, say);
      assert.match(await nodesOf(cluster), / Ready /);
    },

    async probedThrough(act) {
      const { cluster, view } = fleet();
      const sinceMs = Date.now();
      probers = startProbers(cluster);
      try {
        await act();
        await delay(3000);
      } finally {
        const report = await probers.stop();
        probers = undefined;
        console.log(await view.stages(sinceMs));
        console.log(notReached(report).join('\n'));
        console.log(probeTable(report));
        assertNeverRefused(report, 100);
      }
    },
  };
}
