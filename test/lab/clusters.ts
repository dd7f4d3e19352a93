/** The kinds of real cluster that tests work on, one interface: by systemd units with one control plane or three, or by static pods. */
import type { Component } from '../../common/names/names.ts';
import type { Runs } from './component-logs.ts';
import type { Host } from './host.ts';
import { nodes, startKubernetes } from './kubernetes-cluster.ts';
import type { Lab } from './lab.ts';
import { installHaproxy, LoadBalancer } from './load-balancer.ts';
import { startStaticPods } from './static-pods.ts';

/** A cluster before anything of ours is there. */
export interface Cluster {
  kind: 'units' | 'static-pods';
  /** The host of the control plane, or of the first; the CA server runs there too. */
  controlPlane: Host;
  /** HOST:PORT at which everybody reaches an API server. */
  endpoint: string;
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

/** One whose API servers stand behind a load balancer. */
export interface BalancedCluster extends Cluster {
  balancer: LoadBalancer;
}

const MANAGERS: readonly Component[] = ['kube-controller-manager', 'kube-scheduler'];
const CONTROL_PLANE: readonly Component[] = ['etcd', 'kube-apiserver', ...MANAGERS, 'admin'];
const asUnit = (component: Component): Runs => ({ unit: `${component}.service` });

/** cp1 (etcd, API server, controller manager, scheduler) and w1 (kubelet), as systemd units; etcd speaks plaintext. */
export async function startUnitCluster(lab: Lab): Promise<Cluster> {
  const cp1 = await lab.boot('cp1', '10.77.0.10');
  const w1 = await lab.boot('w1', '10.77.0.11');
  const endpoint = `${cp1.ip}:6443`;
  await startKubernetes({ controlPlanes: [cp1], worker: w1, endpoint });
  return {
    ...{ kind: 'units', controlPlane: cp1, endpoint },
    hosts: [
      { host: w1, role: 'worker' },
      { host: cp1, role: 'control-plane' },
    ],
    components: { cp1: CONTROL_PLANE, w1: ['kubelet'] },
    runs: asUnit,
    kubelet: w1,
    logPath: '/api/v1/nodes/w1/proxy/logs/',
  };
}

/**
 * cp1, cp2 and cp3 (etcd under mutual TLS, API server, controller manager, scheduler) and w1 (kubelet), as systemd units; everybody
 * reaches the API servers through HAProxy on lb.
 */
export async function startThreeControlPlanes(lab: Lab, say: (text: string) => void): Promise<BalancedCluster> {
  await installHaproxy(say);
  const [cp1, cp2, cp3, w1, lb] = await Promise.all([
    lab.boot('cp1', '10.77.0.10'),
    lab.boot('cp2', '10.77.0.12'),
    lab.boot('cp3', '10.77.0.13'),
    lab.boot('w1', '10.77.0.11'),
    lab.boot('lb', '10.77.0.9'),
  ]);
  const controlPlanes = [cp1, cp2, cp3] as const;
  const balancer = await LoadBalancer.start(lb, controlPlanes);
  const { endpoint } = balancer;
  await startKubernetes({ controlPlanes, worker: w1, endpoint });
  return {
    ...{ kind: 'units', controlPlane: cp1, endpoint, balancer },
    hosts: [{ host: w1, role: 'worker' }, ...controlPlanes.map((host) => ({ host, role: 'control-plane' as const }))],
    components: { cp1: CONTROL_PLANE, cp2: CONTROL_PLANE, cp3: CONTROL_PLANE, w1: ['kubelet'] },
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
    endpoint: `${kp1.ip}:6443`,
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
