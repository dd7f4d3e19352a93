/** Whether the API server is ready: all its checks, etcd among them. */
import type { DetectedApiserver } from '../detect/detected.ts';
import type { LiveDeps } from './check-handshake.ts';
import type { CheckOutcome } from './checks.ts';
import { readCredentials } from './credentials.ts';
import { apiserverEndpoints, hostPort } from './endpoints.ts';
import { type Expectation, rootsOf } from './expectation.ts';
import { Findings } from './findings.ts';
import { describeOutcome, get } from './handshake-probes.ts';
import { keepsSelfMade } from './self-made.ts';

const HANDSHAKE_ERRORS = 'apiserver_tls_handshake_errors_total';

/**
 * One attempt. /readyz is allowed to every caller (ClusterRole system:public-info-viewer). API servers from 1.20 on keep
 * handshake errors out of their journal, so their counter is told where the probe may read it.
 */
export async function apiserverCluster(
  { probe, clock }: LiveDeps,
  expectation: Expectation<DetectedApiserver>,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const findings = new Findings('cluster', clock);
  const rootsPem = rootsOf(expectation, 'kubernetes');
  const client = await readCredentials(expectation.folder, 'probe-client');
  for (const endpoint of apiserverEndpoints(expectation.detected)) {
    const source = `kube-apiserver ${hostPort(endpoint)}`;
    const ask = { endpoint, rootsPem, selfMade: keepsSelfMade(expectation), client, signal };
    const ready = await get(probe, { ...ask, path: '/readyz' });
    if (ready.kind === 'answered' && ready.status === 200 && ready.body.trim() === 'ok') {
      findings.note(source, `/readyz ok, ${describeOutcome(ready)}`);
    } else {
      findings.fail(source, `/readyz ${describeOutcome(ready)}`);
      const verbose = await get(probe, { ...ask, path: '/readyz?verbose' });
      for (const line of failedChecks(verbose.kind === 'answered' ? verbose.body : '')) findings.fail(source, line);
    }
    const metrics = await get(probe, { ...ask, path: '/metrics' });
    const count = metrics.kind === 'answered' && metrics.status === 200 ? handshakeErrors(metrics.body) : undefined;
    if (count !== undefined) findings.note(source, `${HANDSHAKE_ERRORS} ${count} since its start`);
  }
  return findings.outcome('the API server is ready');
}

/** Lines of a verbose /readyz that say what is not ready: "[-]etcd failed: reason withheld". */
function failedChecks(body: string): string[] {
  return body
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('[-]'));
}

function handshakeErrors(metrics: string): string | undefined {
  return new RegExp(`^${HANDSHAKE_ERRORS} (\\S+)$`, 'm').exec(metrics)?.[1];
}
