/** The handshakes of what only calls: kube-proxy and administrators. Their client certificates have to be believed. */
import type { DetectedAdmin, DetectedProxy } from '../detect/detected.ts';
import { readCaller } from './caller.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { expectBelieved } from './expect-believed.ts';
import type { Expectation } from './expectation.ts';
import { Findings } from './findings.ts';
import { kubeconfigsOf } from './kubeconfigs-of.ts';

/** One attempt, with each kubeconfig at the server that it names. */
export async function clientHandshake(
  { probe, clock }: LiveDeps,
  expectation: Expectation<DetectedAdmin | DetectedProxy>,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const findings = new Findings('handshake', clock);
  const kubeconfigs = kubeconfigsOf(expectation.detected);
  if (kubeconfigs.length === 0) findings.fail(expectation.detected.component, 'has no kubeconfig to call with');
  for (const own of kubeconfigs) {
    const caller = await readCaller(findings, expectation, own);
    if (caller !== undefined) await expectBelieved(probe, findings, caller, signal);
  }
  const what =
    expectation.target === 'trusting' ? 'trusts the old and the new roots' : 'is known by its new certificate';
  return findings.outcome(`${expectation.detected.component} ${what}`);
}
