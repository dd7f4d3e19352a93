/** Verifies one component after an undo: its unit is active, and it serves again what it served before the change. */
import type { Detected } from '../detect/detected.ts';
import type { LiveDeps } from './check-handshake.ts';
import { checkUnit, SETTLE_MS, type UnitDeps } from './check-unit.ts';
import type { CheckOutcome } from './checks.ts';
import { apiserverEndpoints, type Endpoint, etcdClientEndpoints, hostPort, kubeletEndpoints } from './endpoints.ts';
import { isHealthy } from './etcd-members.ts';
import { Findings } from './findings.ts';
import { describeOutcome, firstWords, PROBE_MS } from './handshake-probes.ts';
import { type Patience, READINESS_MS, retryUntilGood } from './patience.ts';
import type { Probe, ProbeOutcome } from './probe.ts';
import type { ServedBefore } from './served-before.ts';
import { failedWhenThrown } from './verify-change.ts';

/** What was there before the change. */
export interface OldState {
  /** As detected before the change: its effective settings are those that are back in force. */
  detected: Detected;
  /** What it served then. */
  served: ServedBefore;
}

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
  const { component, unit } = old.detected;
  // It may fall over and be started again until what it depends on is back too.
  const patience: Patience = {
    untilMs: clock.nowMs() + READINESS_MS[component],
    hopeless: () => Promise.resolve(false),
  };
  const patiently = (attempt: () => Promise<CheckOutcome>) => retryUntilGood(clock, patience, signal, attempt);
  return [
    await failedWhenThrown(deps, 'unit', () =>
      patiently(() => checkUnit(deps, { unit: unit.name }, SETTLE_MS, signal)),
    ),
    await failedWhenThrown(deps, 'handshake', () => patiently(() => oldHandshake(deps, old, signal))),
  ];
}

async function oldHandshake({ probe, clock }: LiveDeps, old: OldState, signal: AbortSignal): Promise<CheckOutcome> {
  const findings = new Findings('handshake', clock);
  if (old.served === 'nothing') return findings.skipped('it did not answer before the change either');
  const { path, endpoints, accept } = expectedOf(old.detected);
  const sha256 = old.served === 'plaintext' ? undefined : old.served.sha256;
  for (const endpoint of endpoints) {
    const source = `handshake ${hostPort(endpoint)}`;
    if (endpoint.scheme === 'https' && sha256 === undefined) {
      findings.fail(source, 'it speaks TLS, and which certificate it served before is not known');
      continue;
    }
    const outcome = await ask(probe, endpoint, path, sha256, signal);
    const body = outcome.kind === 'answered' ? ` "${firstWords(outcome.body)}"` : '';
    findings.expect(accept(outcome), source, `${describeOutcome(outcome)}${body}`);
  }
  if (endpoints.length === 0) findings.fail(old.detected.unit.name, 'has no address that can be probed');
  const what = sha256 === undefined ? 'plaintext' : 'the certificate from before';
  return findings.outcome(`the component answers and serves ${what} again`);
}

function ask(
  probe: Probe,
  { scheme, host, port }: Endpoint,
  path: string,
  sha256: string | undefined,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const secure = scheme === 'https' && sha256 !== undefined;
  const tls = secure ? { trust: { kind: 'exactly' as const, sha256 } } : undefined;
  return probe({ host, port, tls, method: 'GET', path, timeoutMs: PROBE_MS, signal });
}

/** What a component says to a caller without a certificate when it is well. */
function expectedOf(detected: Detected): {
  path: string;
  endpoints: Endpoint[];
  accept(outcome: ProbeOutcome): boolean;
} {
  switch (detected.component) {
    case 'etcd':
      return {
        path: '/health',
        endpoints: etcdClientEndpoints(detected.effectiveSettings, 'prepared'),
        // With client certificates demanded it refuses us, after it has shown its own.
        accept: (outcome) =>
          outcome.kind === 'answered'
            ? isHealthy(outcome.status, outcome.body)
            : outcome.kind === 'refused' && outcome.served !== undefined,
      };
    case 'kube-apiserver':
      return {
        path: '/readyz',
        endpoints: apiserverEndpoints(detected),
        // With anonymous callers switched off it answers 401, ready or not.
        accept: (outcome) => outcome.kind === 'answered' && (outcome.status === 200 || outcome.status === 401),
      };
    case 'kubelet':
      return {
        path: '/healthz',
        endpoints: kubeletEndpoints(detected),
        accept: (outcome) => outcome.kind === 'answered' && [200, 401, 403].includes(outcome.status),
      };
  }
}
