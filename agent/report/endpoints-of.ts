/** The addresses at which a component of this node serves, as peers on other nodes write them. */
import type { Detected, DetectedEtcd, DetectedManager } from '../detect/detected.ts';
import { isLoopback } from '../journal/host-port.ts';
import {
  apiserverEndpoints,
  etcdClientEndpoints,
  etcdHttpEndpoints,
  etcdPeerEndpoints,
  hostPort,
  isWildcard,
  kubeletEndpoints,
  managerEndpoints,
} from '../verify/endpoints.ts';

/** A place to listen at. */
interface Listener {
  host: string;
  port: number;
  /** False when it is reached from this node alone. */
  everywhere: boolean;
}

/**
 * Every port of the component at every address of the node (loopback listeners at loopback only), and the API endpoint of the
 * cluster for an API server: "10.0.0.1:6443".
 */
export function endpointsOf(detected: Detected, nodeAddresses: readonly string[], apiEndpoint: string): string[] {
  const found = new Set<string>();
  for (const { host, port, everywhere } of listenersOf(detected)) {
    found.add(hostPort({ host, port }));
    if (everywhere) for (const address of nodeAddresses) found.add(hostPort({ host: address, port }));
  }
  for (const shared of sharedEndpointsOf(detected, apiEndpoint)) found.add(shared);
  return [...found].sort();
}

/** Those of them at which another API server may answer: the API endpoint may be a load balancer, or an address that moves. */
export function sharedEndpointsOf({ component }: Detected, apiEndpoint: string): string[] {
  return component === 'kube-apiserver' && apiEndpoint !== '' ? [apiEndpoint] : [];
}

function listenersOf(detected: Detected): Listener[] {
  switch (detected.component) {
    case 'etcd':
      return etcdListeners(detected);
    case 'kube-apiserver':
      return apiserverEndpoints(detected).map(({ host, port }) => ({ host, port, everywhere: true }));
    case 'kubelet':
      return kubeletEndpoints(detected).map(({ host, port }) => ({ host, port, everywhere: true }));
    case 'kube-controller-manager':
    case 'kube-scheduler':
      return managerListeners(detected);
    case 'kube-proxy':
    case 'admin':
      return []; // clients only
  }
}

/** kubeadm binds them to loopback, the programs' own default are all addresses. */
function managerListeners(detected: DetectedManager): Listener[] {
  const everywhere = !isLoopback(detected.flags.get('bind-address')?.at(-1) ?? '');
  return managerEndpoints(detected).map(({ host, port }) => ({ host, port, everywhere }));
}

/** Listeners on all addresses are probed by loopback, so that only the setting tells them from those on loopback alone. */
function etcdListeners({ effectiveSettings }: DetectedEtcd): Listener[] {
  const wildcardPorts = ['listen-client-urls', 'listen-client-http-urls', 'listen-peer-urls'].flatMap((name) =>
    (effectiveSettings.get(name)?.value ?? '').split(',').flatMap((text) => {
      const url = URL.parse(text.trim());
      return url !== null && isWildcard(url.hostname.replace(/^\[|\]$/g, '')) ? [Number(url.port)] : [];
    }),
  );
  const listeners = [
    ...etcdClientEndpoints(effectiveSettings, 'prepared'),
    ...etcdHttpEndpoints(effectiveSettings, 'prepared'),
    ...etcdPeerEndpoints(effectiveSettings, 'prepared'),
  ];
  return listeners.map(({ host, port }) => ({
    host,
    port,
    everywhere: !isLoopback(host) || wildcardPorts.includes(port),
  }));
}
