/** Whether a controller manager or a scheduler takes part in the cluster: it is believed, and leads or stands by. */
import { hostname } from 'node:os';
import type { DetectedManager } from '../detect/detected.ts';
import { type Caller, readCaller } from './caller.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { expectBelieved } from './expect-believed.ts';
import type { Expectation } from './expectation.ts';
import { Findings } from './findings.ts';
import { describeOutcome, firstWords, get, isSilent } from './handshake-probes.ts';
import { kubeconfigsOf } from './kubeconfigs-of.ts';
import { parseLease } from './leases.ts';
import type { Probe, ProbeOutcome } from './probe.ts';

/**
 * One attempt, as the component itself, with each of its kubeconfigs. The one that leads renews its lease every two seconds
 * (--leader-elect-retry-period), by this node's clock, as sinceMs is.
 */
export async function managerCluster(
  { probe, clock }: LiveDeps,
  expectation: Expectation<DetectedManager>,
  sinceMs: number,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const { detected } = expectation;
  const findings = new Findings('cluster', clock);
  const callers: Caller[] = [];
  for (const own of kubeconfigsOf(detected)) {
    const caller = await readCaller(findings, expectation, own);
    if (caller === undefined) continue;
    callers.push(caller);
    await expectBelieved(probe, findings, caller, signal);
  }
  const [first] = callers;
  if (first === undefined) findings.fail(detected.component, 'has no kubeconfig that it could be called with');
  if (first !== undefined && findings.good) await expectLease(probe, findings, detected, first, sinceMs, signal);
  return findings.outcome(`${detected.component} is known by its client certificate`);
}

async function expectLease(
  probe: Probe,
  findings: Findings,
  detected: DetectedManager,
  { server: endpoint, rootsPem, client }: Caller,
  sinceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const flag = (name: string) => detected.flags.get(name)?.at(-1);
  if (flag('leader-elect') === 'false' || client === undefined) {
    const why = client === undefined ? 'it shows no client certificate' : 'it elects no leader (--leader-elect=false)';
    findings.note(detected.component, `its lease is not asked for: ${why}`);
    return;
  }
  const namespace = flag('leader-elect-resource-namespace') ?? 'kube-system';
  const name = flag('leader-elect-resource-name') ?? detected.component;
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`;
  judgeLease(findings, path, await get(probe, { endpoint, path, rootsPem, client, signal }), sinceMs);
}

/** Before 1.20 leaders were elected by endpoints: without a lease, that the API server believes it has to do. */
function judgeLease(findings: Findings, source: string, answer: ProbeOutcome, sinceMs: number): void {
  const seen = describeOutcome(answer);
  if (answer.kind === 'answered' && (answer.status === 404 || answer.status === 403)) {
    findings.note(source, seen);
    return;
  }
  const lease = answer.kind === 'answered' && answer.status === 200 ? parseLease(answer.body) : undefined;
  if (lease === undefined) {
    const body = answer.kind === 'answered' ? ` "${firstWords(answer.body)}"` : '';
    if (isSilent(answer)) findings.unanswered(source, `${seen}${body}`);
    else findings.fail(source, `${seen}${body}`);
    return;
  }
  const line = `${seen}: held by ${lease.holder || 'nobody'}, renewed at ${lease.renewTime || 'no time'}`;
  // the identity of a leader is its host's name, "_" and what is its own (cmd/kube-controller-manager/app)
  if (lease.holder !== '' && !lease.holder.startsWith(`${hostname()}_`)) findings.note(source, `${line}: it stands by`);
  else if (lease.renewedAtMs >= sinceMs) findings.note(source, line);
  else findings.fail(source, `${line}, not since it took up its new files`);
}
