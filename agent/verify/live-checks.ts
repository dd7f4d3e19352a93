/** The checks over the network that each component has. */
import { adminCluster } from './admin-cluster.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { clientHandshake } from './client-handshake.ts';
import { etcdCluster } from './etcd-cluster.ts';
import { etcdHandshake } from './etcd-handshake.ts';
import type { Expectation } from './expectation.ts';
import { apiserverCluster } from './kube-apiserver-cluster.ts';
import { apiserverHandshake } from './kube-apiserver-handshake.ts';
import { kubeletCluster } from './kubelet-cluster.ts';
import { kubeletHandshake } from './kubelet-handshake.ts';
import { managerCluster } from './manager-cluster.ts';
import { managerHandshake } from './manager-handshake.ts';
import { proxyCluster } from './proxy-cluster.ts';

/** One attempt at each check. */
export interface LiveChecks {
  handshake(): Promise<CheckOutcome>;
  /** @param sinceMs when the process started or was given its new files: leases have to be younger */
  cluster(sinceMs: number): Promise<CheckOutcome>;
}

/** The checks of the component that is expected. */
export function liveChecks(deps: LiveDeps, expectation: Expectation, signal: AbortSignal): LiveChecks {
  const { detected } = expectation;
  switch (detected.component) {
    case 'etcd': {
      const etcd = { ...expectation, detected };
      return {
        handshake: () => etcdHandshake(deps, etcd, signal),
        cluster: () => etcdCluster(deps, etcd, signal),
      };
    }
    case 'kube-apiserver': {
      const apiserver = { ...expectation, detected };
      return {
        handshake: () => apiserverHandshake(deps, apiserver, signal),
        cluster: () => apiserverCluster(deps, apiserver, signal),
      };
    }
    case 'kube-controller-manager':
    case 'kube-scheduler': {
      const manager = { ...expectation, detected };
      return {
        handshake: () => managerHandshake(deps, manager, signal),
        cluster: (sinceMs) => managerCluster(deps, manager, sinceMs, signal),
      };
    }
    case 'kubelet': {
      const kubelet = { ...expectation, detected };
      return {
        handshake: () => kubeletHandshake(deps, kubelet, signal),
        cluster: (sinceMs) => kubeletCluster(deps, kubelet, sinceMs, signal),
      };
    }
    case 'kube-proxy': {
      const proxy = { ...expectation, detected };
      return {
        handshake: () => clientHandshake(deps, proxy, signal),
        cluster: () => proxyCluster(deps, proxy, signal),
      };
    }
    case 'admin': {
      const admin = { ...expectation, detected };
      return {
        handshake: () => clientHandshake(deps, admin, signal),
        cluster: () => adminCluster(deps, admin, signal),
      };
    }
  }
}
