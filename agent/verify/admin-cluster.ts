/** Whether administrators may still do everything: their new certificate may be of another group than the one from before. */
import { z } from 'zod';
import type { DetectedAdmin } from '../detect/detected.ts';
import { type Caller, readCaller } from './caller.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import type { Expectation } from './expectation.ts';
import { Findings } from './findings.ts';
import { describeOutcome, firstWords, post } from './handshake-probes.ts';
import { kubeconfigsOf } from './kubeconfigs-of.ts';
import { parseJson } from './parse-json.ts';
import type { Probe } from './probe.ts';

const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
const review = z.object({ status: z.object({ allowed: z.boolean() }) });

/** One attempt. Every caller may ask what it may do (ClusterRole system:basic-user). */
export async function adminCluster(
  { probe, clock }: LiveDeps,
  expectation: Expectation<DetectedAdmin>,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const findings = new Findings('cluster', clock);
  if (expectation.target === 'trusting')
    return findings.skipped('administrators keep their certificates and their rights');
  for (const own of kubeconfigsOf(expectation.detected)) {
    const caller = await readCaller(findings, expectation, own);
    if (caller !== undefined) await expectAllPowerful(probe, findings, caller, signal);
  }
  return findings.outcome('administrators may do everything');
}

async function expectAllPowerful(probe: Probe, findings: Findings, caller: Caller, signal: AbortSignal): Promise<void> {
  const { path, server: endpoint, rootsPem, client } = caller;
  const answer = await post(
    probe,
    { endpoint, path: REVIEWS, rootsPem, client, signal },
    {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb: '*', group: '*', resource: '*' } },
    },
  );
  const seen = describeOutcome(answer);
  const body = answer.kind === 'answered' ? answer.body : '';
  const allowed = review.safeParse(parseJson(body)).data?.status.allowed;
  const what =
    allowed === false ? 'it may not do everything: check its group and the ClusterRoleBindings' : firstWords(body);
  findings.expect(allowed === true, path, allowed === true ? `${seen}: it may do everything` : `${seen}: ${what}`);
}
