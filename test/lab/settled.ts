/** A fleet at rest: what tests look at when nothing is going to change any more. */
import type { Cluster } from './clusters.ts';
import type { FleetView } from './fleet-view.ts';

/** Longer than the interval after which an agent tries again what could not be begun, and a change. */
const LIMIT_MS = 600_000;

/**
 * Waits until every component is VERIFIED and no node has a change left to make. The last kubelet to be changed makes API servers verify
 * kubelets, which changes them once more: a plan is asked for before the states and after.
 */
export async function untilSettled({ hosts, components }: Cluster, view: FleetView): Promise<void> {
  for (const round of ['before', 'after']) {
    for (const { host } of hosts) {
      const isDone = async () => (await host.run(['kube-mtls-agent', 'plan'])).code === 0;
      await host.until(`nothing to be left to do, ${round} every component is VERIFIED`, isDone, LIMIT_MS);
    }
    for (const [node, wanted] of Object.entries(components)) {
      for (const component of wanted) await view.until(node, component, ['VERIFIED'], LIMIT_MS);
    }
  }
}
