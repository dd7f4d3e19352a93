/** Trying a check again until it passes, time is up, or there is no hope. */
import type { Component } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { CheckOutcome } from './checks.ts';

/** Time between two attempts, in milliseconds. */
const RETRY_MS = 1000;

/** How long a component may take from its restart until it answers and is ready, in milliseconds. */
export const READINESS_MS: Record<Component, number> = {
  etcd: 60_000,
  kubelet: 90_000,
  'kube-apiserver': 120_000,
  // a new leader waits for the lease of the old one to run out
  'kube-controller-manager': 90_000,
  'kube-scheduler': 90_000,
  'kube-proxy': 60_000,
  admin: 30_000,
};

/**
 * How long a running process may take to use new files, in milliseconds: an API server of v1.20 looks at them each minute
 * (k8s.io/apiserver, dynamic_serving_content.go), and client CAs took it up to 60 s (reference/pki.md, "measured").
 */
export const TAKE_UP_MS = 150_000;

/**
 * How long it is waited besides for another server that does not answer: it may be away for a reason of its own, and undoing the component
 * that calls it would mend nothing. Less than a permit lives (permits.maxAge); milliseconds.
 */
export const UNANSWERED_MS = 10 * 60_000;

/** How long to go on trying. */
export interface Patience {
  /** By the monotonic clock; in the past for a single attempt. */
  untilMs: number;
  /** Asked between attempts: true ends them at once, since the process is gone. */
  hopeless(signal: AbortSignal): Promise<boolean>;
  /** What is left of the waiting for another server that does not answer; nothing unless given. */
  silence?: Silence;
}

/** How long another server's silence is waited for, all checks of a component together; milliseconds. */
export interface Silence {
  readonly mostMs: number;
  /** Waited so far; it does not count as the component's time. */
  spentMs: number;
}

/**
 * Attempts at least once, and again while the outcome is 'failed'. The time in which another server did not answer does not count.
 *
 * @returns the last outcome
 * @throws AbortError when the signal fires
 */
export async function retryUntilGood(
  clock: Clock,
  patience: Patience,
  signal: AbortSignal,
  attempt: () => Promise<CheckOutcome>,
): Promise<CheckOutcome> {
  const { silence = { mostMs: 0, spentMs: 0 } } = patience;
  for (;;) {
    const begunMs = clock.monotonicMs();
    const outcome = await attempt();
    if (outcome.result !== 'failed') return outcome;
    const waits = outcome.unanswered === true && silence.spentMs < silence.mostMs;
    if (!waits && clock.monotonicMs() + RETRY_MS > patience.untilMs + silence.spentMs) return outcome;
    if (await patience.hopeless(signal)) return outcome;
    await clock.sleep(RETRY_MS, signal);
    if (waits) silence.spentMs += clock.monotonicMs() - begunMs;
  }
}
