/** Verifies one component after an undo: it runs, and serves again what it served before the change, or is believed again. */
import type { Component } from '../../common/names/names.ts';
import type { Detected } from '../detect/detected.ts';
import { refOf } from '../process/process-ref.ts';
import type { LiveDeps } from './check-handshake.ts';
import { checkUnit, SETTLE_MS, type UnitDeps } from './check-unit.ts';
import type { CheckOutcome } from './checks.ts';
import { type Endpoint, hostPort } from './endpoints.ts';
import { isHealthy } from './etcd-members.ts';
import { Findings } from './findings.ts';
import { describeOutcome, firstWords, PROBE_MS } from './handshake-probes.ts';
import { type Patience, retryUntilGood, TAKE_UP_MS } from './patience.ts';
import type { Probe, ProbeOutcome, ProbeTls } from './probe.ts';
import { callAsBefore, isBelieved, type ServedBefore } from './served-before.ts';
import { servingEndpoints } from './serving-endpoints.ts';
import { failedWhenThrown } from './verify-change.ts';

/** What was there before the change. */
export interface OldState {
  /** As detected before the change: its effective settings are those that are back in force. */
  detected: Detected;
  /** What it served then. */
  served: ServedBefore;
}

/** What a component that serves something served. */
type Served = Exclude<ServedBefore, 'nothing' | 'believed'>;

/**
 * Verifies, and waits for the component to become ready. The old certificate is recognized by its fingerprint: whether it
 * is expired or names the node rightly was no part of the undo.
 *
 * @returns unit and handshake
 * @throws AbortError when the signal fires
 */
export async function verifyOld(
  deps: UnitDeps & LiveDeps,
  old: OldState,
  signal: AbortSignal,
): Promise<CheckOutcome[]> {
  const { clock } = deps;
  const process = refOf(old.detected.process);
  // It may fall over and be started again until what it depends on is back too, and what was not restarted takes its time.
  const patience: Patience = {
    untilMs: clock.monotonicMs() + TAKE_UP_MS,
    hopeless: () => Promise.resolve(false),
  };
  const patiently = (attempt: () => Promise<CheckOutcome>) => retryUntilGood(clock, patience, signal, attempt);
  return [
    await failedWhenThrown(deps, 'unit', () => patiently(() => checkUnit(deps, { process }, SETTLE_MS, signal))),
    await failedWhenThrown(deps, 'handshake', () => patiently(() => oldHandshake(deps, old, signal))),
  ];
}

async function oldHandshake({ probe, clock }: LiveDeps, old: OldState, signal: AbortSignal): Promise<CheckOutcome> {
  const { detected, served } = old;
  const findings = new Findings('handshake', clock);
  if (served === 'nothing') return findings.skipped('it did not answer before the change either');
  if (served === 'believed') {
    for (const { source, outcome } of await callAsBefore(probe, detected, signal)) {
      findings.expect(isBelieved(outcome), source, describeOutcome(outcome));
    }
    return findings.outcome(`the API server believes ${detected.component} again`);
  }
  const { path, accept } = expectedOf(detected.component);
  const endpoints = servingEndpoints(detected);
  for (const endpoint of endpoints) {
    const source = `handshake ${hostPort(endpoint)}`;
    if (endpoint.scheme === 'https' && served === 'plaintext') {
      findings.fail(source, 'it speaks TLS, and which certificate it served before is not known');
      continue;
    }
    const outcome = await ask(probe, endpoint, path, served, signal);
    const body = outcome.kind === 'answered' ? ` "${firstWords(outcome.body)}"` : '';
    findings.expect(accept(outcome), source, `${describeOutcome(outcome)}${body}`);
  }
  if (endpoints.length === 0) findings.fail(detected.process.name, 'has no address that can be probed');
  return findings.outcome(`the component answers and serves ${words(served)} again`);
}

function ask(
  probe: Probe,
  { scheme, host, port }: Endpoint,
  path: string,
  served: Served,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const request = { host, port, method: 'GET', path, timeoutMs: PROBE_MS, signal } as const;
  return probe({ ...request, tls: scheme === 'https' ? tlsOf(served) : undefined });
}

function tlsOf(served: Served): ProbeTls | undefined {
  if (served === 'plaintext') return undefined;
  if (served === 'throwaway') return { trust: { kind: 'unverified' } };
  return { trust: { kind: 'exactly', sha256: served.sha256 } };
}

function words(served: Served): string {
  if (served === 'plaintext') return 'plaintext';
  return served === 'throwaway' ? 'a certificate of its own making' : 'the certificate from before';
}

/** What a component says to a caller without a certificate when it is well. */
function expectedOf(component: Component): { path: string; accept(outcome: ProbeOutcome): boolean } {
  switch (component) {
    case 'etcd':
      return {
        path: '/health',
        // With client certificates demanded it refuses us, after it has shown its own.
        accept: (outcome) =>
          outcome.kind === 'answered'
            ? isHealthy(outcome.status, outcome.body)
            : outcome.kind === 'refused' && outcome.served !== undefined,
      };
    case 'kube-apiserver':
      // With anonymous callers switched off it answers 401, ready or not.
      return { path: '/readyz', accept: (outcome) => answeredWith(outcome, [200, 401]) };
    case 'kube-controller-manager':
    case 'kube-scheduler':
    case 'kubelet':
    case 'kube-proxy':
    case 'admin':
      return { path: '/healthz', accept: (outcome) => answeredWith(outcome, [200, 401, 403]) };
  }
}

function answeredWith(outcome: ProbeOutcome, statuses: number[]): boolean {
  return outcome.kind === 'answered' && statuses.includes(outcome.status);
}
