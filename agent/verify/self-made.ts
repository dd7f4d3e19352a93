/** Whether a component serves a certificate that it made itself because it was given none. */
import type { DetectedApiserver, DetectedKubelet, DetectedManager } from '../detect/detected.ts';
import { kubeletSetting } from './endpoints.ts';
import type { Expectation } from './expectation.ts';

/** Those that would make themselves one. */
type Server = DetectedApiserver | DetectedManager | DetectedKubelet;

/** True while a component is only made to trust and goes on with a certificate of its own making. */
export function keepsSelfMade({ target, serials, detected }: Expectation<Server>): boolean {
  return target === 'trusting' && !serials.has('serving') && isSelfMade(detected);
}

/**
 * True for a component without a certificate in its settings: what it makes chains to no root, and a controller manager or a
 * scheduler makes it in memory, another one at each start (k8s.io/apiserver, options/serving.go). A kubelet with
 * serverTLSBootstrap has its certificate from the cluster's CA.
 */
export function isSelfMade(detected: Server): boolean {
  if (detected.effectiveFlags.has('tls-cert-file')) return false;
  if (detected.component !== 'kubelet') return true;
  const bootstraps =
    detected.effectiveFlags.get('rotate-server-certificates')?.at(-1) ?? kubeletSetting(detected, 'serverTLSBootstrap');
  return (kubeletSetting(detected, 'tlsCertFile') ?? '') === '' && bootstraps !== 'true';
}
