/** The two kinds of real cluster that tests work on, one interface: by systemd units on two hosts, or by static pods on one. */
import type { Component } from '../../common/names/names.ts';
import type { Runs } from './component-logs.ts';
import type { Host } from './host.ts';
import { nodes, startKubernetes } from './kubernetes-cluster.ts';
import type { Lab } from './lab.ts';
import { startStaticPods } from './static-pods.ts';

/** A cluster before anything of ours is there. */
export interface Cluster {
  kind: 'units' | 'static-pods';
  /** The host of the control plane; the CA server runs there too. */
  controlPlane: Host;
  /** All hosts with the role they join in, in that order. */
  hosts: readonly { host: Host; role: 'control-plane' | 'worker' }[];
  /** Every component that has to end VERIFIED, by host name. */
  components: Readonly<Record<string, readonly Component[]>>;
  /** How a component runs. */
  runs: (component: Component) => Runs;
  /** A host with a kubelet, and a path of the API server that leads to that kubelet's logs. */
  kubelet: Host;
  logPath: string;
}

const MANAGERS: readonly Component[] = ['kube-controller-manager', 'kube-scheduler'];
const asUnit = (component: Component): Runs => ({ unit: `${component}.service` });

/** cp1 (etcd, API server, controller manager, scheduler) and w1 (kubelet), as systemd units; etcd speaks plaintext. */
export async function startUnitCluster(lab: Lab): Promise<Cluster> {
  const cp1 = await lab.boot('cp1', '10.77.0.10');
  const w1 = await lab.boot('w1', '10.77.0.11');
  await startKubernetes(cp1, w1);
  return {
    kind: 'units',
    controlPlane: cp1,
    hosts: [
      { host: w1, role: 'worker' },
      { host: cp1, role: 'control-plane' },
    ],
    components: { cp1: ['etcd', 'kube-apiserver', ...MANAGERS, 'admin'], w1: ['kubelet'] },
    runs: asUnit,
    kubelet: w1,
    logPath: '/api/v1/nodes/w1/proxy/logs/',
  };
}

/** kp1: kubelet as a unit, everything else as static pods of kubeadm's manifests. */
export async function startPodCluster(lab: Lab, say: (text: string) => void): Promise<Cluster> {
  const kp1 = await lab.boot('kp1', '10.77.0.20');
  await startStaticPods(kp1, say);
  return {
    kind: 'static-pods',
    controlPlane: kp1,
    hosts: [{ host: kp1, role: 'control-plane' }],
    components: { kp1: ['etcd', 'kube-apiserver', ...MANAGERS, 'kubelet', 'admin'] },
    runs: (component) =>
      component === 'kubelet' ? asUnit(component) : { pod: `${component}-kp1`, container: component },
    kubelet: kp1,
    logPath: '/api/v1/nodes/kp1/proxy/logs/',
  };
}

/** `kubectl get nodes`. */
export function nodesOf(cluster: Cluster): Promise<string> {
  return nodes(cluster.controlPlane);
}
