/** Whether kube-proxy may read what it works by. */
import type { DetectedProxy } from '../detect/detected.ts';
import { readCaller } from './caller.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import type { Expectation } from './expectation.ts';
import { Findings } from './findings.ts';
import { expectAnswer, get } from './handshake-probes.ts';
import { kubeconfigsOf } from './kubeconfigs-of.ts';

/** One attempt: the list of services, which the ClusterRole system:node-proxier allows. */
export async function proxyCluster(
  { probe, clock }: LiveDeps,
  expectation: Expectation<DetectedProxy>,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const findings = new Findings('cluster', clock);
  for (const own of kubeconfigsOf(expectation.detected)) {
    const caller = await readCaller(findings, expectation, own);
    if (caller === undefined) continue;
    const { server: endpoint, rootsPem, client } = caller;
    if (client === undefined)
      return findings.skipped('kube-proxy shows no client certificate, so nothing can be read as it');
    const path = '/api/v1/services?limit=1';
    const answer = await get(probe, { endpoint, path, rootsPem, client, signal });
    expectAnswer(findings, path, answer, {
      ...{ shown: undefined, accept: (status) => status === 200, wanted: '200', elsewhere: true },
    });
  }
  return findings.outcome('kube-proxy may read the services');
}
