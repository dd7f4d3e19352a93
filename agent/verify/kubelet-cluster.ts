/** Whether the kubelet takes part in the cluster with its new certificate: its node is Ready and its lease renewed. */
import { z } from 'zod';
import type { DetectedKubelet } from '../detect/detected.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { readCredentials } from './credentials.ts';
import { type Expectation, rootsOf } from './expectation.ts';
import { Findings } from './findings.ts';
import { describeOutcome, firstWords, get } from './handshake-probes.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import { parseJson } from './parse-json.ts';
import type { ProbeOutcome } from './probe.ts';

const condition = z.object({ type: z.string(), status: z.string(), message: z.string().default('') });
const node = z.object({ status: z.object({ conditions: z.array(condition).default([]) }) });
const lease = z.object({ spec: z.object({ renewTime: z.string() }) });

/**
 * One attempt, as system:node:NAME with the kubelet's own client certificate, at the server of its kubeconfig. A node stays
 * Ready for 40 s after its kubelet is cut off (--node-monitor-grace-period), so its lease, which it renews every 10 s,
 * has to be younger than the process; renewTime is by this node's clock, as startedAtMs is.
 */
export async function kubeletCluster(
  { probe, clock }: LiveDeps,
  expectation: Expectation<DetectedKubelet>,
  startedAtMs: number,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const findings = new Findings('cluster', clock);
  const { kubeconfig, nodeName } = expectation.detected;
  const { server } = parseKubeconfig(kubeconfig);
  const client = await readCredentials(expectation.folder, 'client');
  const rootsPem = rootsOf(expectation, 'kubernetes');
  const ask = (path: string) => get(probe, { endpoint: server, path, rootsPem, client, signal });

  const nodePath = `/api/v1/nodes/${nodeName}`;
  judgeNode(findings, nodePath, await ask(nodePath));
  if (!findings.good) return findings.outcome('');
  const leasePath = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${nodeName}`;
  judgeLease(findings, leasePath, await ask(leasePath), startedAtMs);
  return findings.outcome(`node ${nodeName} is Ready and its kubelet is known by its client certificate`);
}

function judgeNode(findings: Findings, source: string, answer: ProbeOutcome): void {
  const seen = describeOutcome(answer);
  if (answer.kind !== 'answered' || answer.status !== 200) {
    const body = answer.kind === 'answered' ? ` "${firstWords(answer.body)}"` : '';
    findings.fail(source, `${seen}${body}`);
    return;
  }
  const conditions = node.safeParse(parseJson(answer.body)).data?.status.conditions ?? [];
  const ready = conditions.find(({ type }) => type === 'Ready');
  const said = ready === undefined ? 'no condition Ready' : `Ready=${ready.status} ${ready.message}`.trim();
  findings.expect(ready?.status === 'True', source, `${seen}: ${said}`);
}

/** Leases of nodes exist since Kubernetes 1.14; where they cannot be read, Ready has to do. */
function judgeLease(findings: Findings, source: string, answer: ProbeOutcome, startedAtMs: number): void {
  const seen = describeOutcome(answer);
  if (answer.kind === 'answered' && (answer.status === 404 || answer.status === 403)) {
    findings.note(source, seen);
    return;
  }
  const body = answer.kind === 'answered' ? answer.body : '';
  const renewTime = lease.safeParse(parseJson(body)).data?.spec.renewTime;
  const renewed = renewTime !== undefined && Date.parse(renewTime) >= startedAtMs;
  const line = renewTime === undefined ? seen : `${seen}: renewed at ${renewTime}`;
  findings.expect(renewed, source, renewed ? line : `${line}, not since the kubelet started`);
}
