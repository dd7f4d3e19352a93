/** A running cluster with a CA server that has adopted it, and no node joined yet: where every e2e test begins. */

import { buildPackages, startServer } from './fleet.ts';
import { FleetView } from './fleet-view.ts';
import type { Host } from './host.ts';
import { startKubernetes } from './kubernetes-cluster.ts';
import { Lab } from './lab.ts';
import { Operator } from './operator.ts';
import { makeKubernetes } from './packages.ts';

/** The cluster and the seat of its operator. */
export interface E2e {
  lab: Lab;
  cp1: Host;
  w1: Host;
  operator: Operator;
  view: FleetView;
  close(): Promise<void>;
}

/** Boots everything; takes it down again when it cannot. */
export async function openE2e(): Promise<E2e> {
  const say = (text: string) => console.log(`# ${text}`);
  await makeKubernetes(say);
  await buildPackages(say);
  const lab = await Lab.open(say);
  try {
    const cp1 = await lab.boot('cp1', '10.77.0.10');
    const w1 = await lab.boot('w1', '10.77.0.11');
    await startKubernetes({ controlPlanes: [cp1], worker: w1, endpoint: `${cp1.ip}:6443` });
    await startServer(cp1, {
      cluster: 'e2e',
      apiEndpoint: `${cp1.ip}:6443`,
      adopt: '/etc/kubernetes/pki',
      peerWatch: '5s',
    });
    const operator = await Operator.of(cp1);
    const close = async () => {
      await operator.close();
      await lab.close();
    };
    return { lab, cp1, w1, operator, view: new FleetView(operator), close };
  } catch (error) {
    await lab.close();
    throw error;
  }
}
