/** The proof by the cluster: it answers through the component, and the component takes part in it. */
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { etcdCluster } from './etcd-cluster.ts';
import type { Expectation } from './expectation.ts';
import { apiserverCluster } from './kube-apiserver-cluster.ts';
import { kubeletCluster } from './kubelet-cluster.ts';
import { type Patience, retryUntilGood } from './patience.ts';

/**
 * Asks until the cluster is well, as long as the patience lasts.
 *
 * @param startedAtMs when the process started: a kubelet has to have renewed its lease since
 * @throws AppError not-found or invalid-request when a certificate of ours cannot be read or used
 * @throws AbortError when the signal fires
 */
export function checkCluster(
  deps: LiveDeps,
  expectation: Expectation,
  startedAtMs: number,
  patience: Patience,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  return retryUntilGood(deps.clock, patience, signal, () => {
    const { detected } = expectation;
    switch (detected.component) {
      case 'etcd':
        return etcdCluster(deps, { ...expectation, detected }, signal);
      case 'kube-apiserver':
        return apiserverCluster(deps, { ...expectation, detected }, signal);
      case 'kubelet':
        return kubeletCluster(deps, { ...expectation, detected }, startedAtMs, signal);
    }
  });
}
