/** A real Kubernetes cluster that kubeadm made the certificates of, adopted while it runs. */
import { startUnitCluster } from '../lab/clusters.ts';
import { joinNode, startServer } from '../lab/fleet.ts';
import { nodes } from '../lab/kubernetes-cluster.ts';
import type { Lab } from '../lab/lab.ts';
import { showFleet, waitForFleet } from './show-fleet.ts';

/** Runs it; true when every component was verified. */
export async function runKubernetesDemo(lab: Lab, say: (text: string) => void): Promise<boolean> {
  say('starting Kubernetes: plaintext etcd, certificates by kubeadm');
  const { controlPlane: cp1, kubelet: w1, endpoint } = await startUnitCluster(lab, say);
  console.log(await nodes(cp1));
  say('installing and starting the CA server on cp1, adopting /etc/kubernetes/pki');
  const printed = await startServer(cp1, {
    cluster: 'demo',
    apiEndpoint: endpoint,
    adopt: '/etc/kubernetes/pki',
    nodes: 2,
  });
  console.log(printed.replace(/^/gm, '        '));
  say('joining w1');
  await joinNode(cp1, w1, { role: 'worker' });
  say('joining cp1');
  await joinNode(cp1, cp1, { role: 'control-plane' });
  const good = await waitForFleet(cp1, { cp1: 5, w1: 1 }, say, 420_000);
  console.log(`\n$ kubectl get nodes\n${await nodes(cp1)}`);
  await showFleet(cp1);
  return good;
}
