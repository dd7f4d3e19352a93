/** Whether the kubelet takes part in the cluster with its new certificate: its node is Ready and its lease renewed. */
import { z } from 'zod';
import type { DetectedKubelet } from '../detect/detected.ts';
import { readCaller } from './caller.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import type { Expectation } from './expectation.ts';
import { Findings } from './findings.ts';
import { describeOutcome, firstWords, get, isSilent } from './handshake-probes.ts';
import { kubeconfigsOf } from './kubeconfigs-of.ts';
import { parseLease } from './leases.ts';
import { parseJson } from './parse-json.ts';
import type { ProbeOutcome } from './probe.ts';

const condition = z.object({ type: z.string(), status: z.string(), message: z.string().default('') });
const node = z.object({ status: z.object({ conditions: z.array(condition).default([]) }) });

/**
 * One attempt, as system:node:NAME with the kubelet's own client certificate, by its kubeconfig. A node stays
 * Ready for 40 s after its kubelet is cut off (--node-monitor-grace-period), so its lease, which it renews every 10 s,
 * has to be younger than the process or its new files; renewTime is by this node's clock, as sinceMs is.
 */
export async function kubeletCluster(
  { probe, clock }: LiveDeps,
  expectation: Expectation<DetectedKubelet>,
  sinceMs: number,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const { detected } = expectation;
  const { nodeName } = detected;
  const findings = new Findings('cluster', clock);
  const [own] = kubeconfigsOf(detected);
  const caller = own === undefined ? undefined : await readCaller(findings, expectation, own);
  if (caller === undefined) return findings.outcome('');
  const { server: endpoint, rootsPem, client } = caller;
  if (client === undefined)
    return findings.skipped('the kubelet shows no client certificate, so nothing can be asked as it');
  const ask = (path: string) => get(probe, { endpoint, path, rootsPem, client, signal });

  const nodePath = `/api/v1/nodes/${nodeName}`;
  judgeNode(findings, nodePath, await ask(nodePath));
  if (!findings.good) return findings.outcome('');
  const leasePath = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${nodeName}`;
  judgeLease(findings, leasePath, await ask(leasePath), sinceMs);
  return findings.outcome(`node ${nodeName} is Ready and its kubelet is known by its client certificate`);
}

function judgeNode(findings: Findings, source: string, answer: ProbeOutcome): void {
  const seen = describeOutcome(answer);
  if (answer.kind !== 'answered' || answer.status !== 200) {
    const body = answer.kind === 'answered' ? ` "${firstWords(answer.body)}"` : '';
    if (isSilent(answer)) findings.unanswered(source, `${seen}${body}`);
    else findings.fail(source, `${seen}${body}`);
    return;
  }
  const conditions = node.safeParse(parseJson(answer.body)).data?.status.conditions ?? [];
  const ready = conditions.find(({ type }) => type === 'Ready');
  const said = ready === undefined ? 'no condition Ready' : `Ready=${ready.status} ${ready.message}`.trim();
  findings.expect(ready?.status === 'True', source, `${seen}: ${said}`);
}

/** Leases of nodes exist since Kubernetes 1.14; where they cannot be read, Ready has to do. */
function judgeLease(findings: Findings, source: string, answer: ProbeOutcome, sinceMs: number): void {
  const seen = describeOutcome(answer);
  if (answer.kind === 'answered' && (answer.status === 404 || answer.status === 403)) {
    findings.note(source, seen);
    return;
  }
  const lease = answer.kind === 'answered' ? parseLease(answer.body) : undefined;
  if (isSilent(answer)) findings.unanswered(source, seen);
  else if (lease === undefined) findings.fail(source, seen);
  else if (lease.renewedAtMs >= sinceMs) findings.note(source, `${seen}: renewed at ${lease.renewTime}`);
  else
    findings.fail(
      source,
      `${seen}: renewed at ${lease.renewTime || 'no time'}, not since the kubelet was to use its new files`,
    );
}
