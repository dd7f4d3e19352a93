/** The proof by the cluster: it answers through the component, and the component takes part in it. */
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import type { Expectation } from './expectation.ts';
import { liveChecks } from './live-checks.ts';
import { type Patience, retryUntilGood } from './patience.ts';

/**
 * Asks until the cluster is well, as long as the patience lasts.
 *
 * @param sinceMs when the process started or was given its new files: a kubelet, or a manager that leads, has to have renewed
 * its lease since
 * @throws AppError not-found or invalid-request when a certificate of ours cannot be read or used
 * @throws AbortError when the signal fires
 */
export function checkCluster(
  deps: LiveDeps,
  expectation: Expectation,
  sinceMs: number,
  patience: Patience,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const { cluster } = liveChecks(deps, expectation, signal);
  return retryUntilGood(deps.clock, patience, signal, () => cluster(sinceMs));
}
