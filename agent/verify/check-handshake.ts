/** The proof by live handshakes: new connections show the new certificate, and callers without a good one get nowhere. */
import type { Clock } from '../../common/time/clock.ts';
import type { CheckOutcome } from './checks.ts';
import type { Expectation } from './expectation.ts';
import { liveChecks } from './live-checks.ts';
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
  const { handshake } = liveChecks(deps, expectation, signal);
  return retryUntilGood(deps.clock, patience, signal, handshake);
}
