/** The proof by live handshakes: new connections show the new certificate, and callers without a good one get nowhere. */
import type { Clock } from '../../common/time/clock.ts';
import type { CheckOutcome } from './checks.ts';
import { etcdHandshake } from './etcd-handshake.ts';
import type { Expectation } from './expectation.ts';
import { apiserverHandshake } from './kube-apiserver-handshake.ts';
import { kubeletHandshake } from './kubelet-handshake.ts';
import { type Patience, retryUntilGood } from './patience.ts';
import type { Probe } from './probe.ts';

/** What checks over the network need. */
export interface LiveDeps {
  clock: Clock;
  probe: Probe;
}

/**
 * Tries the handshakes until they are as they should be, as long as the patience lasts.
 *
 * @throws AppError not-found or invalid-request when a certificate of ours cannot be read or used
 * @throws AbortError when the signal fires
 */
export function checkHandshake(
  deps: LiveDeps,
  expectation: Expectation,
  patience: Patience,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  return retryUntilGood(deps.clock, patience, signal, () => {
    const { detected } = expectation;
    switch (detected.component) {
      case 'etcd':
        return etcdHandshake(deps, { ...expectation, detected }, signal);
      case 'kube-apiserver':
        return apiserverHandshake(deps, { ...expectation, detected }, signal);
      case 'kubelet':
        return kubeletHandshake(deps, { ...expectation, detected }, signal);
    }
  });
}
