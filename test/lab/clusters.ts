/** The kinds of real cluster that tests work on, one interface: by systemd units with one control plane or three, or by static pods. */
import type { Component } from '../../common/names/names.ts';
import type { Runs } from './component-logs.ts';
import type { Host } from './host.ts';
import { bootKept } from './kept-cluster.ts';
import { startKubeadm, stopKubeadm, untilKubeadmIsReady } from './kubeadm-cluster.ts';
import {
  type KubernetesOptions,
  nodes,
  startKubernetes,
  stopKubernetes,
  untilKubernetesIsReady,
} from './kubernetes-cluster.ts';
import type { Lab } from './lab.ts';
import { installHaproxy, LoadBalancer } from './load-balancer.ts';
import { startStaticPods, stopStaticPods, untilStaticPodsAreReady } from './static-pods.ts';

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

const UNITS_MADE_BY = ['clusters.ts', 'kubernetes-cluster.ts', 'kubeadm-files.ts', 'stacked-etcd.ts', 'start-unit.ts'];
const MANAGERS: readonly Component[] = ['kube-controller-manager', 'kube-scheduler'];
const CONTROL_PLANE: readonly Component[] = ['etcd', 'kube-apiserver', ...MANAGERS, 'admin'];
const POD_CONTROL_PLANE: readonly Component[] = ['etcd', 'kube-apiserver', ...MANAGERS, 'kubelet', 'admin'];
const asUnit = (component: Component): Runs => ({ unit: `${component}.service` });

/** cp1 (etcd, API server, controller manager, scheduler) and w1 (kubelet), as systemd units; etcd speaks plaintext. */
export async function startUnitCluster(lab: Lab, say: (text: string) => void): Promise<Cluster> {
  const options = ([cp1, w1]: readonly Host[]): KubernetesOptions => {
    if (cp1 === undefined || w1 === undefined) throw new Error('a host is missing');
    return { controlPlanes: [cp1], worker: w1, endpoint: `${cp1.ip}:6443` };
  };
  const hosts = await bootKept(
    lab,
    {
      name: 'units',
      addresses: { cp1: '10.77.0.10', w1: '10.77.0.11' },
      madeBy: UNITS_MADE_BY,
      make: (all) => startKubernetes(options(all)),
      stop: (all) => stopKubernetes(options(all)),
      start: (all, sinceMs) => untilKubernetesIsReady(options(all), sinceMs),
    },
    say,
  );
  return unitCluster(options(hosts));
}

/**
 * cp1, cp2 and cp3 (etcd under mutual TLS, API server, controller manager, scheduler) and w1 (kubelet), as systemd units; everybody
 * reaches the API servers through HAProxy on lb.
 */
export async function startThreeControlPlanes(lab: Lab, say: (text: string) => void): Promise<BalancedCluster> {
  await installHaproxy(say);
  let balancer: LoadBalancer | undefined;
  const options = async ([cp1, cp2, cp3, w1, lb]: readonly Host[]): Promise<KubernetesOptions> => {
    if (!cp1 || !cp2 || !cp3 || !w1 || !lb) throw new Error('a host is missing');
    balancer ??= await LoadBalancer.start(lb, [cp1, cp2, cp3]);
    return { controlPlanes: [cp1, cp2, cp3], worker: w1, endpoint: balancer.endpoint };
  };
  const hosts = await bootKept(
    lab,
    {
      name: 'three-control-planes',
      addresses: { cp1: '10.77.0.10', cp2: '10.77.0.12', cp3: '10.77.0.13', w1: '10.77.0.11', lb: '10.77.0.9' },
      madeBy: [...UNITS_MADE_BY, 'load-balancer.ts'],
      make: async (all) => startKubernetes(await options(all)),
      stop: async (all) => {
        await stopKubernetes(await options(all));
        balancer = undefined; // it goes with its host
      },
      start: async (all, sinceMs) => untilKubernetesIsReady(await options(all), sinceMs),
    },
    say,
  );
  const cluster = unitCluster(await options(hosts));
  if (balancer === undefined) throw new Error('there is no load balancer');
  return { ...cluster, balancer };
}

function unitCluster({ controlPlanes, worker, endpoint }: KubernetesOptions): Cluster {
  return {
    ...{ kind: 'units', controlPlane: controlPlanes[0], endpoint },
    hosts: [
      { host: worker, role: 'worker' },
      ...controlPlanes.map((host) => ({ host, role: 'control-plane' as const })),
    ],
    components: {
      ...Object.fromEntries(controlPlanes.map(({ name }) => [name, CONTROL_PLANE])),
      [worker.name]: ['kubelet'],
    },
    runs: asUnit,
    kubelet: worker,
    logPath: `/api/v1/nodes/${worker.name}/proxy/logs/`,
  };
}

/** kp1, kp2 and kp3: made by kubeadm's init and join, static pods and kubelets as units, reached through HAProxy on lb. */
export async function startKubeadmCluster(lab: Lab, say: (text: string) => void): Promise<BalancedCluster> {
  await installHaproxy(say);
  let balancer: LoadBalancer | undefined;
  const parts = async ([kp1, kp2, kp3, lb]: readonly Host[]) => {
    if (!kp1 || !kp2 || !kp3 || !lb) throw new Error('a host is missing');
    balancer ??= await LoadBalancer.start(lb, [kp1, kp2, kp3]);
    return { controlPlanes: [kp1, kp2, kp3] as const, endpoint: balancer.endpoint, balancer };
  };
  const hosts = await bootKept(
    lab,
    {
      name: 'kubeadm',
      addresses: { kp1: '10.77.0.21', kp2: '10.77.0.22', kp3: '10.77.0.23', lb: '10.77.0.9' },
      madeBy: [
        'clusters.ts',
        'kubeadm-cluster.ts',
        'static-pods.ts',
        'kubernetes-cluster.ts',
        'load-balancer.ts',
        'pause.c',
      ],
      make: async (all) => {
        const { controlPlanes, endpoint } = await parts(all);
        await startKubeadm(controlPlanes, endpoint, say);
      },
      stop: async (all) => {
        await stopKubeadm((await parts(all)).controlPlanes);
        balancer = undefined; // it goes with its host
      },
      start: async (all, sinceMs) => untilKubeadmIsReady((await parts(all)).controlPlanes, sinceMs),
    },
    say,
  );
  const { controlPlanes, ...rest } = await parts(hosts);
  const [kp1, , kp3] = controlPlanes;
  return {
    ...{ kind: 'static-pods', controlPlane: kp1, ...rest },
    hosts: controlPlanes.map((host) => ({ host, role: 'control-plane' })),
    components: Object.fromEntries(controlPlanes.map(({ name }) => [name, POD_CONTROL_PLANE])),
    runs: (component) =>
      component === 'kubelet' ? asUnit(component) : { pod: `${component}-kp1`, container: component },
    kubelet: kp3,
    logPath: '/api/v1/nodes/kp3/proxy/logs/',
  };
}

/** kp1: kubelet as a unit, everything else as static pods of kubeadm's manifests. */
export async function startPodCluster(lab: Lab, say: (text: string) => void): Promise<Cluster> {
  const only = ([kp1]: readonly Host[]): Host => {
    if (kp1 === undefined) throw new Error('the host is missing');
    return kp1;
  };
  const hosts = await bootKept(
    lab,
    {
      name: 'static-pods',
      addresses: { kp1: '10.77.0.20' },
      madeBy: ['clusters.ts', 'static-pods.ts', 'kubernetes-cluster.ts', 'container-image.ts', 'pause.c'],
      make: (all) => startStaticPods(only(all), say),
      stop: (all) => stopStaticPods(only(all)),
      start: (all, sinceMs) => untilStaticPodsAreReady(only(all), sinceMs),
    },
    say,
  );
  const kp1 = only(hosts);
  return {
    kind: 'static-pods',
    controlPlane: kp1,
    endpoint: `${kp1.ip}:6443`,
    hosts: [{ host: kp1, role: 'control-plane' }],
    components: { kp1: POD_CONTROL_PLANE },
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
