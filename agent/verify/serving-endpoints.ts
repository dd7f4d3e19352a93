/** Where a component serves as it runs now, before a change or after its undo. */
import type { Detected } from '../detect/detected.ts';
import {
  apiserverEndpoints,
  type Endpoint,
  etcdClientEndpoints,
  kubeletEndpoints,
  managerEndpoints,
} from './endpoints.ts';

/** By the settings in force; nowhere for what only calls. */
export function servingEndpoints(detected: Detected): Endpoint[] {
  switch (detected.component) {
    case 'etcd':
      return etcdClientEndpoints(detected.effectiveSettings, 'prepared');
    case 'kube-apiserver':
      return apiserverEndpoints(detected);
    case 'kube-controller-manager':
    case 'kube-scheduler':
      return managerEndpoints(detected);
    case 'kubelet':
      return kubeletEndpoints(detected);
    case 'kube-proxy':
    case 'admin':
      return [];
  }
}
