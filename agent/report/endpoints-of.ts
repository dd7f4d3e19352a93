/** The addresses at which a component of this node serves, as peers on other nodes write them. */
import type { Detected } from '../detect/detected.ts';
import {
  apiserverEndpoints,
  type Endpoint,
  etcdClientEndpoints,
  etcdPeerEndpoints,
  hostPort,
  isLoopback,
  kubeletEndpoints,
} from '../verify/endpoints.ts';

/**
 * Every port of the component at every address of the node (loopback listeners at loopback only), and the API endpoint of the
 * cluster for an API server: "10.0.0.1:6443".
 */
export function endpointsOf(detected: Detected, nodeAddresses: readonly string[], apiEndpoint: string): string[] {
  const listeners = listenersOf(detected);
  const found = new Set<string>();
  for (const { host, port } of listeners) {
    found.add(hostPort({ host, port }));
    const everywhere = detected.component !== 'etcd' || !isLoopback(host);
    if (everywhere) for (const address of nodeAddresses) found.add(hostPort({ host: address, port }));
  }
  if (detected.component === 'kube-apiserver' && apiEndpoint !== '') found.add(apiEndpoint);
  return [...found].sort();
}

function listenersOf(detected: Detected): Endpoint[] {
  switch (detected.component) {
    case 'etcd':
      return [
        ...etcdClientEndpoints(detected.effectiveSettings, 'prepared'),
        ...etcdPeerEndpoints(detected.effectiveSettings, 'prepared'),
      ];
    case 'kube-apiserver':
      return apiserverEndpoints(detected);
    case 'kubelet':
      return kubeletEndpoints(detected);
  }
}
