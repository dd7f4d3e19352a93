/** A running cluster with a CA server and no node joined yet: where every test of a cluster begins. */
import type { Cluster } from './clusters.ts';
import { type ServerOptions, startServer } from './fleet.ts';
import { FleetView } from './fleet-view.ts';
import type { Lab } from './lab.ts';
import { makeKubernetes } from './made-once.ts';
import { Operator } from './operator.ts';
import { type LabSteps, stepsOnLab } from './steps.ts';

/** The cluster and the seat of its operator. */
export interface ClusterFleet<C extends Cluster> {
  lab: Lab;
  cluster: C;
  operator: Operator;
  view: FleetView;
}

/** How the CA server of a cluster begins. */
export interface ClusterServer extends Partial<ServerOptions> {
  /** All hosts will join at once, and the server is told how many there are. */
  allJoin?: true;
}

/** Declares the preparation and the steps of one suite. */
export interface ClusterSteps<C extends Cluster> extends Omit<LabSteps, 'lab'> {
  /** It is there from the first step on. */
  fleet(): ClusterFleet<C>;
}

/**
 * Declares for one suite that it runs on a cluster of its own.
 *
 * @param start - brings the cluster up
 * @param server - how its CA server begins, beside what is alike for all: by default it adopts the cluster's CAs
 */
export function stepsOnCluster<C extends Cluster>(
  start: (lab: Lab, say: (text: string) => void) => Promise<C>,
  { allJoin, ...server }: ClusterServer = { adopt: '/etc/kubernetes/pki' },
): ClusterSteps<C> {
  const { lab, ...steps } = stepsOnLab();
  let fleet: ClusterFleet<C> | undefined;

  steps.prepare(async () => {
    await makeKubernetes(steps.say);
    const cluster = await start(lab(), steps.say);
    steps.say('the cluster runs');
    const { controlPlane, endpoint, hosts } = cluster;
    const nodes = allJoin === true ? { nodes: hosts.length } : {};
    await startServer(controlPlane, { cluster: 'lab', apiEndpoint: endpoint, peerWatch: '5s', ...nodes, ...server });
    const operator = await Operator.of(controlPlane);
    fleet = { lab: lab(), cluster, operator, view: new FleetView(operator) };
  });
  steps.atEnd(() => fleet?.operator.close());

  return {
    ...steps,
    fleet() {
      if (fleet === undefined) throw new Error('the cluster does not run yet');
      return fleet;
    },
  };
}
